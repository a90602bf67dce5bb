"""The damage that is done, each kind under its own name."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flywheel_local.stack import Stack
from tests.chaos import lookups, traffic
from tests.waiting import until

PROCESSOR = "stream-processor"
_ROOT = Path(__file__).resolve().parents[2]
_CHANGES = 12
_DEATH_S = 300.0


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the damage is done. `repeats` is how often a process is killed."""

    stack: Stack
    rng: random.Random
    repeats: int


@dataclass(frozen=True, slots=True)
class Fault:
    """`strike` does the damage under load, brings everything back, and gives the moment of the last injury."""

    name: str
    strike: Callable[[Scene], float]
    needs: frozenset[str]


def _killed(name: str) -> Callable[[Scene], float]:
    def strike(scene: Scene) -> float:
        injured = 0.0
        for _ in range(scene.repeats):
            time.sleep(scene.rng.uniform(0.3, 3.0))
            injured = time.monotonic()
            scene.stack.kill(name)
            scene.stack.restart(name)
        return injured

    return strike


def _killed_in_training(scene: Scene) -> float:
    """The trainer dies while it trains for a trigger."""
    injured = 0.0
    for _ in range(scene.repeats):
        until(lambda: lookups.trains_now(scene.stack.env, traffic.MODEL), 180, "a training")
        time.sleep(scene.rng.uniform(0.0, 1.0))
        injured = time.monotonic()
        scene.stack.kill("trainer")
        scene.stack.restart("trainer")
    return injured


def _killed_at(*boundaries: str) -> Callable[[Scene], float]:
    """The processor dies exactly at a boundary of its flush, and another one takes over: repeatedly at each."""

    def strike(scene: Scene) -> float:
        scene.stack.kill(PROCESSOR)
        injured = 0.0
        for boundary in boundaries * scene.repeats:
            _run_until_it_dies(scene.stack, boundary, scene.rng.randint(1, 3))
            injured = time.monotonic()
        scene.stack.restart(PROCESSOR)
        return injured

    return strike


def _run_until_it_dies(stack: Stack, boundary: str, nth: int) -> None:
    code, log = _run(stack, "crash_at", boundary, str(nth))
    if code != -signal.SIGKILL:
        raise AssertionError(f"the processor ended with {code} instead of dying at {boundary}; see {log}")


def _run(stack: Stack, module: str, *arguments: str) -> tuple[int, Path]:
    """The exit code of a module beside this one, and where it logs."""
    environment = {**os.environ, **stack.env, "PYTHONPATH": str(_ROOT)}
    command = [sys.executable, "-m", f"tests.chaos.{module}", *arguments]
    path = stack.home / "logs" / f"{module.replace('_', '-')}.log"
    with path.open("ab") as log, subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=log, stderr=log) as run:
        try:
            return run.wait(_DEATH_S), path
        finally:
            run.kill()


def _killed_amid(job: str) -> Callable[[Scene], float]:
    """Who rewrites tables dies before one of its changes, repeatedly; the last one leaves nothing half done."""

    def strike(scene: Scene) -> float:
        injured = 0.0
        for _ in range(scene.repeats):
            nth = scene.rng.randint(1, _CHANGES)
            # Where it needed fewer changes it is done; another one is begun, and dies sooner.
            while (code := _run(scene.stack, "tending", job, str(nth))[0]) == 0:
                nth = max(1, nth // 2)
            if code != -signal.SIGKILL:
                raise AssertionError(f"{job} ended with {code} instead of dying at change {nth}; see tending.log")
            injured = time.monotonic()
        if code := _run(scene.stack, "tending", "finish")[0]:
            raise AssertionError(f"finishing after {job} ended with {code}; see tending.log")
        return injured

    return strike


def _zombie(scene: Scene) -> float:
    """One processor stops for longer than its session while another takes over; then it goes on, none the wiser."""
    injured = 0.0
    for _ in range(scene.repeats):
        scene.stack.scale(PROCESSOR, 2)
        first_pid = scene.stack.pid(PROCESSOR)
        if first_pid is None or scene.stack.pid(f"{PROCESSOR}-2") is None:
            raise AssertionError("two processors should run")
        time.sleep(scene.rng.uniform(1.0, 3.0))
        injured = time.monotonic()
        _stopped_until_taken_over(scene.stack, first_pid)
        time.sleep(scene.rng.uniform(3.0, 6.0))
        scene.stack.scale(PROCESSOR, 1)
        # A zombie may well decide to die; supervision starts it again.
        scene.stack.restart(PROCESSOR)
    return injured


def _stopped_until_taken_over(stack: Stack, pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    try:
        # Only when the other one has all partitions does everything that lies there now get settled.
        marks = {topic: lookups.ends(stack.env, topic) for topic in ("feedback-events", "predictions")}
        until(lambda: all(_settled(stack.env, topic, mark) for topic, mark in marks.items()), 120, "a take-over")
    finally:
        os.kill(pid, signal.SIGCONT)


def _settled(env: Mapping[str, str], topic: str, marks: Mapping[int, int]) -> bool:
    done = lookups.committed(env, topic)
    return all(done.get(partition, 0) >= mark for partition, mark in marks.items())


_BOUNDARIES = ("before_append", "after_append", "amid_dead_letters", "before_announcement", "after_commit")
_ALWAYS = frozenset({"kafka", "s3", "ingest", PROCESSOR})
FAULTS = {
    fault.name: fault
    for fault in (
        Fault("processor_killed", _killed(PROCESSOR), _ALWAYS),
        Fault("processor_killed_before_commit", _killed_at("before_commit"), _ALWAYS),
        Fault("processor_killed_at_boundaries", _killed_at(*_BOUNDARIES), _ALWAYS),
        Fault("zombie", _zombie, _ALWAYS),
        Fault("ingest_killed", _killed("ingest"), _ALWAYS),
        Fault("broker_killed", _killed("kafka"), _ALWAYS),
        Fault("inference_killed", _killed("inference"), _ALWAYS | {"inference"}),
        Fault("trainer_killed", _killed_in_training, _ALWAYS | {"trainer"}),
        Fault("upkeep_killed", _killed_amid("upkeep"), _ALWAYS),
        Fault("erasure_killed", _killed_amid("erasure"), _ALWAYS | {"mlflow"}),
        Fault("rollback_killed", _killed_amid("rollback"), _ALWAYS | {"mlflow"}),
    )
}
