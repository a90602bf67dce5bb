"""The trainer killed at each boundary: after a restart every trigger has exactly one outcome, and it was announced."""

import dataclasses
import signal
from typing import Any

import pytest

from flywheel_schemas.events import ModelAction, ModelUpdated, ThresholdReached
from registry import VersionState
from registry.runs import Outcome
from tests import forked
from tests.dying import Dying, die
from trainer.application.train import Request
from trainer.settings import Settings
from trainer.wiring import Clients, build

Lab = Any


def _promoted(event: ModelUpdated) -> bool:
    return event.action is ModelAction.PROMOTED


def train_until(model: str, point: str, trigger: ThresholdReached | None) -> None:
    """A whole trainer, in which one collaborator kills the process at the moment under test."""

    def arm(real: Clients) -> Clients:
        wired: Any = real
        match point:
            case "while training":
                wired.learner.predict = die
            case "before the alias":
                wired.registry.set_champion = die
            case "before the state":
                wired.registry.set_state = die
            case "before the outcome":
                wired.registry.run_store.finish = die
            case "before the event":
                return dataclasses.replace(wired, announcements=Dying(wired.announcements, "publish", _promoted))
        return real

    build(Settings(), replace=arm).train.handle(Request(model, "test", trigger))


POINTS = ("while training", "before the alias", "before the state", "before the event", "before the outcome")


def train_and_die(lab: Lab, point: str, trigger: ThresholdReached | None) -> None:
    assert forked.exit_code(train_until, lab.model, point, trigger) == -signal.SIGKILL


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
