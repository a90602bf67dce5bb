"""The trainer killed at each boundary: after a restart every trigger has exactly one outcome, and it was announced."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from flywheel_schemas.events import ModelAction, ThresholdReached
from registry import VersionState
from registry.runs import Outcome

Lab = Any

# A trainer of its own process, in which one collaborator kills the process at the moment under test.
TRAIN_AND_DIE = """
import dataclasses, os, signal, sys
from flywheel_schemas.events import ThresholdReached
from trainer.application.train import Request
from trainer.settings import Settings
from trainer.wiring import build

model, point, raw = sys.argv[1], sys.argv[2], sys.argv[3]

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

class DyingAnnouncements:
    def __init__(self, real): self.real = real
    def latest(self): return self.real.latest()
    def record(self, action): self.real.record(action)
    def publish(self, event):
        if event.action.value == "promoted":
            die()
        self.real.publish(event)

def arm(real):
    if point == "while training":
        real.learner.predict = die
    elif point == "before the alias":
        real.registry.set_champion = die
    elif point == "before the state":
        real.registry.set_state = die
    elif point == "before the outcome":
        real.registry.run_store.finish = die
    elif point == "before the event":
        return dataclasses.replace(real, announcements=DyingAnnouncements(real.announcements))
    return real

trigger = ThresholdReached.parse(raw.encode()) if raw else None
build(Settings(), replace=arm).train.handle(Request(model, "test", trigger))
"""
POINTS = ("while training", "before the alias", "before the state", "before the event", "before the outcome")


def train_and_die(lab: Lab, point: str, trigger: ThresholdReached | None) -> None:
    raw = trigger.encode().decode() if trigger else ""
    command = [sys.executable, "-c", TRAIN_AND_DIE, lab.model, point, raw]
    died = subprocess.run(command, env=os.environ.copy(), timeout=120, check=False)
    assert died.returncode == -signal.SIGKILL


@pytest.mark.parametrize("point", POINTS)
def test_a_trigger_read_again_after_a_kill_ends_in_one_version_and_one_outcome(lab: Lab, point: str) -> None:
    lab.world.base()
    lab.add()
    lab.world.corrections()
    trigger = lab.world.trigger()
    train_and_die(lab, point, trigger)
    assert lab.retrain(trigger) is Outcome.PROMOTED
    versions = lab.registry.versions(lab.model)
    assert [(version.version, version.state) for version in versions] == [
        ("1", VersionState.RETIRED),
        ("2", VersionState.PROMOTED),
    ]
    assert lab.registry.champion(lab.model) == versions[1]
    runs = [run for run in lab.registry.runs(lab.model) if run.trigger_id == str(trigger.trigger_id)]
    assert [(run.outcome, run.version) for run in runs] == [(Outcome.PROMOTED, "2")]
    event = lab.latest()
    assert event is not None
    assert (event.action, event.model_version, event.previous_version) == (ModelAction.PROMOTED, "2", "1")


def test_the_model_after_a_kill_is_the_one_that_would_have_been(lab: Lab) -> None:
    lab.world.base()
    lab.add()
    lab.world.corrections()
    trigger = lab.world.trigger()
    train_and_die(lab, "while training", trigger)
    pinned = lab.registry.run_for_trigger(lab.model, str(trigger.trigger_id)).dataset_versions
    lab.world.corrections(500, day=60)
    lab.retrain(trigger)
    assert lab.registry.run_for_trigger(lab.model, str(trigger.trigger_id)).dataset_versions == pinned
    assert lab.registry.version(lab.model, "2").metrics["feedback_rows"] == 3000


@pytest.mark.parametrize("point", ["before the state", "before the event"])
def test_a_champion_that_a_kill_left_unannounced_is_announced_at_the_next_start(lab: Lab, point: str) -> None:
    lab.world.base()
    lab.add()
    lab.world.corrections()
    train_and_die(lab, point, lab.world.trigger())
    before = lab.latest()
    assert before is not None
    assert before.champion == "1"
    assert lab.trainer.recover.announcements() == 1
    event = lab.latest()
    assert event is not None
    assert (event.action, event.model_version, event.champion) == (ModelAction.PROMOTED, "2", "2")
    assert [version.state for version in lab.registry.versions(lab.model)] == [
        VersionState.RETIRED,
        VersionState.PROMOTED,
    ]
    assert lab.trainer.recover.announcements() == 0


@pytest.mark.parametrize("point", ["before the alias", "while training"])
def test_a_model_being_added_when_the_trainer_died_is_finished_or_told_to_have_failed(lab: Lab, point: str) -> None:
    lab.world.base()
    train_and_die(lab, point, None)
    assert lab.registry.champion(lab.model) is None
    assert lab.trainer.recover.interrupted_runs() == 1
    (run,) = lab.registry.runs(lab.model)
    if point == "while training":
        assert run.failed
        assert "ask again" in run.reason
    else:
        assert run.outcome is Outcome.PROMOTED
        assert lab.registry.champion(lab.model).version == "1"
    assert lab.trainer.recover.interrupted_runs() == 0
