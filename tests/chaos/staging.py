"""Setting the stage: the services that a plan needs, and a model for them."""

import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from flywheel_local.stack import Stack
from tests.chaos import lookups, traffic
from tests.chaos.faults import FAULTS

_SERVICES = ("ingest", "stream-processor", "trainer", "inference")


_TRAINED = frozenset({"trainer", "inference", "mlflow"})


def serves(faults: Iterable[str]) -> bool:
    """Whether a plan of these faults needs a model that is trained and served."""
    return bool(_needed(faults) & _TRAINED)


def prepare(stack: Stack, faults: Iterable[str]) -> None:
    """Start what the faults need and register the model."""
    faults = tuple(faults)
    stack.start_servers()
    lookups.put_spec(stack.env, traffic.MODEL, traffic.SPEC)
    if not serves(faults):
        stack.start_services(["ingest", "stream-processor"])
        return
    stack.start_services(_SERVICES)
    _register(stack)


def _needed(faults: Iterable[str]) -> set[str]:
    return set[str]().union(*(FAULTS[fault].needs for fault in faults))


def _register(stack: Stack) -> None:
    folder = stack.home / "chaos-model"
    folder.mkdir(exist_ok=True)
    spec, base = folder / f"{traffic.MODEL}.yaml", folder / "base.csv"
    spec.write_text(traffic.SPEC)
    base.write_text(traffic.base_csv(random.Random(0)))
    command = [str(Path(sys.executable).parent / "flywheel"), "model", "add", str(spec), "--base", str(base)]
    done = subprocess.run(command, env=stack.env, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise AssertionError(f"the model was not registered:\n{done.stdout}\n{done.stderr}")
