"""Quality, drift and schedule: each fires once, also when the process that fires it dies before it is announced."""

import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from flywheel_schemas.events import ThresholdReached, TriggerReason
from flywheel_schemas.spec import ModelSpec
from flywheel_schemas.topics import THRESHOLD_REACHED
from kafka_runtime import tail
from kafka_runtime.settings import KafkaSettings
from lake.triggers import TriggerLog, trigger_id
from tests import forked
from tests.dying import die
from trainer.adapters.kafka import LakeTriggers
from trainer.settings import Settings
from trainer.wiring import build

Lab = Any

POLICIES: dict[str, dict[str, Any]] = {
    "quality": {"quality": {"below": 0.9, "window": "400d"}},
    "drift": {"drift": {"psi_above": 0.2, "window": "400d"}},
    "schedule": {"every": "1ms"},
}


def look_and_die(model: str) -> None:
    """Looks once; dies between writing the trigger and announcing it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LakeTriggers, "announce", die)
        build(Settings()).watching.look(model)


def with_policy(spec: ModelSpec, policy: dict[str, Any]) -> ModelSpec:
    return ModelSpec.model_validate({**spec.model_dump(mode="json"), "retrain": {"feedback_count": None, **policy}})


def announced(model: str) -> list[ThresholdReached]:
    newest = tail.latest_by_key(KafkaSettings(), THRESHOLD_REACHED).get(model)
    return [] if newest is None else [ThresholdReached.parse(newest.value or b"")]


def fired(lab: Lab) -> list[ThresholdReached]:
    return TriggerLog(lab.world.lake, lab.model).all()


@pytest.mark.parametrize("kind", POLICIES)
def test_a_crossing_fires_once_though_who_fires_it_dies(lab: Lab, kind: str) -> None:
    lab.world.base()
    lab.add()
    # Half of these answers are wrong, and they come without scores, which the training set has: a drift.
    lab.world.corrections(day=(datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)).days - 1)
    lab.world.lake.specs.put(with_policy(lab.world.spec, POLICIES[kind]))

    assert forked.exit_code(look_and_die, lab.model) == -signal.SIGKILL
    (trigger,) = fired(lab)
    assert (trigger.reason.value, trigger.trigger_id) == (kind, trigger_id(lab.model, 0))
    assert announced(lab.model) == []

    watching = lab.trainer.watching
    assert watching.look(lab.model) is None  # a training is due already
    assert watching.announce_again(lab.model)
    assert announced(lab.model) == [trigger]
    lab.retrain(trigger)
    assert not watching.announce_again(lab.model)
    if kind != "schedule":  # of a millisecond, which is over again
        again = watching.look(lab.model)
        assert again is None or (again.model_version, again.column) != (trigger.model_version, trigger.column)


def test_nothing_is_decided_where_nothing_is_audited_or_held_back(lab: Lab) -> None:
    lab.world.base()
    lab.add()
    watching = lab.trainer.watching
    lab.world.lake.specs.put(with_policy(lab.world.spec, POLICIES["quality"] | {"drift": POLICIES["drift"]["drift"]}))
    assert watching.look(lab.model) is None
    lab.world.lake.specs.put(with_policy(lab.world.spec, {"every": "1ms", "cooldown": "1h"}))
    first = watching.look(lab.model)
    assert first is not None
    assert first.reason is TriggerReason.SCHEDULE
    lab.retrain(first)
    assert watching.look(lab.model) is None  # the cooldown
    assert timedelta(0) <= datetime.now(UTC) - first.occurred_at < timedelta(hours=1)


def test_quality_and_drift_are_served_with_their_intervals_and_bins(lab: Lab) -> None:
    lab.world.base()
    lab.add()
    lab.world.corrections(day=(datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)).days - 1)
    client = TestClient(lab.trainer.app)
    (version,) = client.get(f"/v1/models/{lab.model}/quality", params={"window": "400d"}).json()["versions"]
    assert (version["version"], version["predictions"]) == ("1", 3000)
    accuracy = version["accuracy"]
    assert accuracy["answers"] == version["audits"] > 200
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert {each["name"] for each in version["classes"]} == {"late", "on_time"}
    drift = client.get(f"/v1/models/{lab.model}/drift", params={"window": "400d"}).json()
    assert drift["reference"] == "training set of version 1, 4,000 rows"
    assert {each["name"] for each in drift["features"]} == {"carrier", "distance", "hour"}
    assert drift["scores"]["bins"][-1]["label"] == "missing"
    assert client.get(f"/v1/models/{lab.model}/quality", params={"window": "a week"}).status_code == 422
    assert client.get("/v1/models/nobody/drift").status_code == 404
    for _ in range(2):
        lab.trainer.measuring()
    (sampled,) = client.get(f"/v1/models/{lab.model}/drift/history").json()["samples"]
    assert (sampled["version"], set(sampled["psi"])) == ("1", {"carrier", "distance", "hour", "scores"})
