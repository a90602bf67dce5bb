"""The stack that a demo runs on: a home of its own, made anew each time, with the flights' model in it."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from flights import data
from flights.calls import MODEL
from flywheel_local.stack import Stack
from flywheel_schemas.spec import ModelSpec, dump_spec, load_spec

ADD_TIMEOUT_S, SERVING_TIMEOUT_S = 120.0, 60.0


class DemoError(Exception):
    """The demo cannot go on. The text says why, and what to do."""


def spec(path: Path, *, naive: bool) -> ModelSpec:
    """The spec in `path`; `naive` takes the weights off. Raises SpecError."""
    found = load_spec(path)
    if not naive:
        return found
    return found.model_copy(update={"training": found.training.model_copy(update={"weights": "none"})})


@contextmanager
def fresh_stack(home: Path, say: Callable[[str], None]) -> Iterator[Stack]:
    """A running stack in `home`, which is emptied first; nothing of it runs afterwards, however this process ends.

    Raises DemoError when another demo runs in the same home.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise DemoError(f"Another demo runs in {home}. Wait for it, or end it with Ctrl-C.") from exc
        Stack(home).stop()
        shutil.rmtree(home, ignore_errors=True)
        with Stack(home, say=say).while_in_use() as stack:
            stack.start()
            yield stack


def add_model(stack: Stack, found: ModelSpec) -> None:
    """`flywheel model add` with the months before the replay, then wait until inference serves the first version."""
    spec_path, base_path = stack.home / "flights.yaml", stack.home / "base.parquet"
    spec_path.write_text(dump_spec(found), encoding="utf-8")
    data.base().write_parquet(base_path)
    command = [sys.executable, "-m", "flywheel_cli", "model", "add", str(spec_path), "--base", str(base_path)]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **stack.env},
            timeout=ADD_TIMEOUT_S,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise DemoError(f"`flywheel model add` did not end in {ADD_TIMEOUT_S:g} s; see {stack.log('trainer')}") from exc
    if done.returncode:
        raise DemoError(f"`flywheel model add` failed:\n{done.stdout}{done.stderr}")
    _wait_until_served(stack.env["INFERENCE_URL"])


def _wait_until_served(inference: str) -> None:
    end = time.monotonic() + SERVING_TIMEOUT_S
    while time.monotonic() < end:
        answer = httpx.get(f"{inference}/v1/models/{MODEL}")
        if answer.status_code == httpx.codes.OK and answer.json()["champion"]:
            return
        time.sleep(0.1)
    raise DemoError(f"Inference serves no version of {MODEL} after {SERVING_TIMEOUT_S:g} s")
