"""Rollouts against a real lake, registry and broker: step by step, killed in between, by two workers at once, blind."""

import dataclasses
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from flywheel_schemas.events import ModelAction
from flywheel_schemas.spec import RolloutPolicy
from flywheel_schemas.topics import MODEL_UPDATED, ROLLOUT_AUDIT_LOG
from inference.application.answer import prediction_ids
from kafka_runtime import tail
from kafka_runtime.settings import KafkaSettings
from registry import VersionState
from registry.runs import Outcome
from tests import forked
from tests.dying import Dying, die
from trainer.domain.errors import NotAllowed
from trainer.settings import Settings
from trainer.wiring import Clients, Trainer, build

Lab = Any
POLICY = RolloutPolicy.model_validate(
    {
        "strategy": "canary",
        "shadow": {"min_predictions": 50},
        "steps": [20, 50],
        "min_feedback": 40,
        "guardrails": {"quality_loss_above": 0.2},
    }
)


@pytest.fixture(scope="module")
def trained(shared_lab: Lab) -> Lab:
    """A champion that serves, and a better candidate that has passed its gates and is in the shadow."""
    lab = shared_lab
    lab.world.base()
    lab.add()
    lab.world.lake.specs.put(lab.world.spec.model_copy(update={"rollout": POLICY}))
    lab.world.corrections()
    trigger = lab.world.trigger()
    assert lab.retrain(trigger) is None
    assert lab.retrain(trigger) is None, "a trigger that is read again finds its version on trial"
    return lab


@pytest.fixture
def trial(trained: Lab) -> Lab:
    """Version 1 serves and version 2 is in the shadow, whatever the test before has led to."""
    rollout, model = trained.trainer.rollout, trained.model
    standing = rollout.standing(model)
    if standing.trial is not None and (standing.trial.release.version, standing.trial.percent) == ("2", 0.0):
        return trained
    if standing.trial is not None:
        rollout.rollback(model, None, "the next test", "test")
    if rollout.standing(model).champion.version != "1":
        rollout.promote(model, "1", "the next test", "test", force=False)
    rollout.promote(model, "2", "the next test", "test", force=False, strategy="canary")
    return trained


def answers(lab: Lab, version: str, variant: str, n: int, *, right: float = 0.9) -> None:
    """`n` predictions of `version` that were just made and, unless in the shadow, audited; `right` of them are."""
    now = datetime.now(UTC)
    flights = lab.world.flights(n, turned=True)
    label = flights.pop("label")
    other = np.where(label == "late", "on_time", "late")
    predicted = np.where(np.arange(n) < right * n, label, other)
    ids = prediction_ids(n, now.timestamp())
    common = {"prediction_id": ids, "model_version": [version] * n, "variant": [variant] * n, "predicted": predicted}
    common["audited"] = [variant != "shadow"] * n
    lab.world._append("predictions", {**flights, **common, "latency_ms": np.ones(n)}, [now] * n, [now] * n)
    if variant != "shadow":
        words = {"event_id": prediction_ids(n, now.timestamp()), "label": label, "kind": ["correction"] * n}
        said = [now + timedelta(milliseconds=1)] * n
        lab.world._append("feedback", {**common, **words, "source": ["test"] * n}, said, said)


def states(lab: Lab) -> list[str]:
    return [version.state.value for version in lab.registry.versions(lab.model)]


def outcome(lab: Lab) -> Outcome | None:
    return next(run.outcome for run in lab.registry.runs(lab.model) if run.trigger_id is not None)


def test_a_good_challenger_goes_through_all_steps_and_everything_tells_the_same(trial: Lab) -> None:
    conductor = trial.trainer.conductor
    assert states(trial) == ["promoted", "shadow"]
    assert trial.registry.challenger(trial.model).version == "2"
    conductor.look()
    assert states(trial) == ["promoted", "shadow"]
    answers(trial, "2", "shadow", 60)
    conductor.look()
    seen = []
    for _ in range(2):
        event = trial.latest()
        seen.append((event.challenger, event.challenger_traffic_percent, event.champion_artifact_sha256))
        answers(trial, "1", "champion", 200, right=0.8)
        answers(trial, "2", "challenger", 200, right=0.9)
        conductor.look()
    champion = trial.registry.version(trial.model, "1")
    assert seen == [("2", percent, champion.artifact_sha256) for percent in (20.0, 50.0)]
    event = trial.latest()
    assert (event.action, event.champion, event.challenger) == (ModelAction.PROMOTED, "2", None)
    assert states(trial) == ["retired", "promoted"]
    assert trial.registry.challenger(trial.model) is None
    assert outcome(trial) is Outcome.PROMOTED
    told = tail.last(KafkaSettings(), ROLLOUT_AUDIT_LOG, partition_of(trial.model), 1000)
    own = [record for record in told if record.key == trial.model.encode()]
    assert len(own) == event.sequence + 1
    assert not trial.trainer.conductor.act(trial.model)


def test_a_bad_challenger_is_taken_back_and_the_champion_never_left(trial: Lab) -> None:
    answers(trial, "2", "shadow", 60)
    trial.trainer.conductor.look()
    answers(trial, "1", "champion", 400, right=0.9)
    answers(trial, "2", "challenger", 100, right=0.4)
    trial.trainer.conductor.look()
    event = trial.latest()
    assert (event.action, event.model_version, event.champion) == (ModelAction.ROLLED_BACK, "2", "1")
    assert "worse by" in event.reason
    assert states(trial) == ["promoted", "rolled_back"]


def test_a_person_pauses_resumes_and_takes_back_and_the_log_says_who(trial: Lab) -> None:
    rollout = trial.trainer.rollout
    rollout.pause(trial.model, "the desk is closed", "key-1")
    answers(trial, "2", "shadow", 60)
    trial.trainer.conductor.look()
    assert states(trial) == ["promoted", "shadow"]
    assert trial.latest().paused
    with pytest.raises(NotAllowed, match="paused already"):
        rollout.pause(trial.model, "again", "key-1")
    rollout.resume(trial.model, "it is open", "key-2")
    trial.trainer.conductor.look()
    assert states(trial) == ["promoted", "canary"]
    rollout.rollback(trial.model, None, "complaints", "key-3")
    assert states(trial) == ["promoted", "rolled_back"]


def test_two_workers_that_decide_at_once_make_one_transition(trial: Lab) -> None:
    answers(trial, "2", "shadow", 60)
    workers = [build(Settings()) for _ in range(4)]
    before = trial.latest().sequence
    history = canaries(trial)
    together = threading.Barrier(len(workers))

    def look(worker: Trainer) -> None:
        together.wait()
        worker.conductor.look()

    threads = [threading.Thread(target=look, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    event = trial.latest()
    assert (event.sequence, event.challenger_traffic_percent) == (before + 1, 20.0)
    assert canaries(trial) == history + 1


def canaries(lab: Lab) -> int:
    return sum(change.state is VersionState.CANARY for change in lab.registry.version(lab.model, "2").history)


def test_a_rollback_needs_no_registry_and_the_registry_follows_when_it_is_back(
    trial: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.trainer.rollout.promote(trial.model, "2", "early", "key-1", force=False)
    assert trial.latest().champion == "2"
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
        blind = build(Settings())
        began = time.monotonic()
        back = threading.Thread(target=blind.rollout.rollback, args=(trial.model, None, "it is wrong", "key-1"))
        back.start()
        while trial.latest().champion != "1":
            assert time.monotonic() - began < 60
        back.join()
    assert trial.registry.champion(trial.model).version == "2"
    assert trial.trainer.recover.announcements() == 1
    assert trial.registry.champion(trial.model).version == "1"
    assert states(trial) == ["promoted", "rolled_back"]
    assert trial.trainer.recover.announcements() == 0


def test_a_champion_that_somebody_sets_in_mlflow_is_taken_over_and_told(trial: Lab) -> None:
    trial.registry.set_champion(trial.model, "2")
    assert trial.trainer.recover.announcements() == 1
    event = trial.latest()
    assert (event.champion, event.challenger, event.who) == ("2", None, "registry")
    assert states(trial) == ["retired", "promoted"]


def step_until(point: str) -> None:
    """A whole trainer, in which one collaborator kills the process at the moment under test."""
    calls = {"before the alias": "set_challenger", "before the state": "set_state"}
    calls |= {"before the number": "set_rollout_sequence"}
    last = {"before the audit log": "record", "before the event": "publish"}

    def arm(real: Clients) -> Clients:
        wired: Any = real
        if point in last:
            return dataclasses.replace(wired, announcements=Dying(wired.announcements, last[point]))
        setattr(wired.registry, calls[point], die)
        return real

    build(Settings(), replace=arm).conductor.look()


POINTS = ("before the alias", "before the state", "before the number", "before the audit log", "before the event")


def test_a_step_that_a_kill_left_half_done_is_finished_by_whoever_comes_next(trial: Lab) -> None:
    for point in POINTS:
        answers(trial, "2", "shadow", 60)
        before = trial.latest()
        assert before.challenger_state == "shadow"
        assert forked.exit_code(step_until, point) == -signal.SIGKILL
        assert trial.registry.rollout_sequence(trial.model) == before.sequence
        assert trial.trainer.recover.announcements() == 1
        event = trial.latest()
        assert (event.sequence, event.challenger_traffic_percent) == (before.sequence + 1, 20.0)
        assert trial.registry.challenger(trial.model).traffic_percent == 20.0
        assert trial.registry.rollout_sequence(trial.model) == event.sequence
        assert trial.trainer.recover.announcements() == 0
        trial.trainer.rollout.rollback(trial.model, None, "once more", "test")
        trial.trainer.rollout.promote(trial.model, "2", "once more", "test", force=False, strategy="canary")


def test_a_newer_candidate_waits_and_comes_on_trial_when_the_one_before_is_taken_back(trial: Lab) -> None:
    trial.world.corrections(day=60)
    assert trial.retrain(trial.world.trigger()) is None
    assert trial.latest().challenger == "2"
    trial.trainer.rollout.rollback(trial.model, None, "complaints", "key-1")
    trial.trainer.conductor.look()
    event = trial.latest()
    assert (event.challenger, event.champion, event.action) == ("3", "1", ModelAction.SHADOW)


def partition_of(model: str) -> int:
    """Where the model's events lie."""
    for partition in tail.end_offsets(KafkaSettings(), MODEL_UPDATED):
        if any(r.key == model.encode() for r in tail.records_from(KafkaSettings(), MODEL_UPDATED, partition, 0)):
            return partition
    raise AssertionError("no event of the model")
