"""`make up`, `make scale` and `make down` as a user has them: every server and every service, on ports of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flywheel_local import env_file
from flywheel_local.ports import Ports
from flywheel_local.processes import Processes
from flywheel_local.stack import Stack

ALL = ["console", "inference", "ingest", "kafka", "mlflow", "s3", "stream-processor", "trainer"]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services").resolve()


@pytest.fixture(scope="module")
def run(home: Path) -> Iterator[Run]:
    """Runs a module of ours with this stack's home and ports."""
    environment = {**os.environ, **Ports.free().environment(), "FLYWHEEL_HOME": str(home)}
    environment["FLYWHEEL_READY_TIMEOUT"] = "240"
    for given in ("KAFKA_BOOTSTRAP_SERVERS", "S3_ENDPOINT_URL", "MLFLOW_TRACKING_URI"):
        environment.pop(given, None)

    def run_module(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)

    Stack(home).stop_with_parent()
    yield run_module
    run_module("flywheel_local", "down")


@pytest.fixture(scope="module")
def up(run: Run) -> str:
    """What the first `make up` printed."""
    outcome = run("flywheel_local", "up")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def pids(home: Path) -> dict[str, int | None]:
    processes = Processes(home)
    return {name: processes.pid(name) for name in processes.names()}


def test_up_starts_everything_and_prints_every_address(up, home):
    assert sorted(pids(home)) == ALL
    assert None not in pids(home).values()
    env = env_file.read(home / "env")
    printed = {line.split()[0]: line.split()[1] for line in up.splitlines() if len(line.split()) == 4}
    addresses = {"kafka": "KAFKA_BOOTSTRAP_SERVERS", "s3": "S3_ENDPOINT_URL", "mlflow": "MLFLOW_TRACKING_URI"}
    addresses |= {"stream-processor": "PROCESSOR_URL"}
    addresses |= {name: f"{name.upper()}_URL" for name in ALL if name not in addresses}
    assert {name: printed[name] for name in ALL} == {name: env[variable] for name, variable in addresses.items()}


def test_the_doctor_finds_nothing_wrong(up, run):
    outcome = run("flywheel_cli", "doctor")
    assert outcome.returncode == 0, outcome.stdout
    assert "Nothing is wrong" in outcome.stdout


def test_a_second_up_starts_only_what_died(up, run, home):
    before = pids(home)
    os.kill(before["stream-processor"], signal.SIGKILL)
    assert run("flywheel_local", "status").returncode == 1
    assert run("flywheel_local", "up").returncode == 0
    after = pids(home)
    changed = {name for name in ALL if after[name] != before[name]}
    assert (changed, None in after.values()) == ({"stream-processor"}, False)


def test_scaling_runs_more_of_a_service_and_less_again(up, run, home):
    before = pids(home)
    outcome = run("flywheel_local", "scale", "stream-processor", "2")
    assert outcome.returncode == 0, outcome.stdout
    assert pids(home).keys() - before.keys() == {"stream-processor-2"}
    assert pids(home)["stream-processor-2"] is not None
    assert run("flywheel_local", "scale", "stream-processor", "1").returncode == 0
    assert pids(home) == before


def test_an_unknown_service_cannot_be_scaled_and_the_known_ones_are_named(up, run):
    outcome = run("flywheel_local", "scale", "kafka", "2")
    assert outcome.returncode == 1
    assert "stream-processor" in outcome.stdout


def test_down_leaves_nothing_running_and_says_so(up, run, home):
    outcome = run("flywheel_local", "down")
    assert outcome.returncode == 0
    assert Processes(home).everyone() == []
    assert pids(home) == {}
