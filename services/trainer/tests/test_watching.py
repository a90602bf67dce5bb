from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import polars as pl
import pytest

from evidence.quality import Estimate
from flywheel_schemas.events import ThresholdReached, TriggerReason
from flywheel_schemas.spec import ModelSpec, parse_spec
from flywheel_schemas.spec_model import DriftTrigger, QualityTrigger
from trainer.domain import drifting, live, watching
from trainer.domain.live import LiveQuality

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def spec() -> Iterator[ModelSpec]:
    yield parse_spec(
        """
        name: flights
        task: binary
        label: {name: late, values: [on_time, late], positive: late}
        features:
          - {name: carrier, type: category, values: [UA, AA, B6]}
          - {name: distance, type: number}
        """
    )


def seen(value: float, low: float, high: float, audits: int = 300) -> LiveQuality:
    return LiveQuality("3", 9000, audits, accuracy=Estimate(value, low, high, audits))


def test_quality_fires_when_it_is_surely_below_and_says_so():
    found = watching.quality_crossing(QualityTrigger(below=0.7), seen(0.66, 0.62, 0.69))
    assert found is not None
    assert (found.reason, found.version, found.rows) == (TriggerReason.QUALITY, "3", 300)
    assert found.note == (
        "accuracy of version 3 over 7d is 0.660 (0.620 to 0.690 with 95 % confidence, 300 audited answers), below 0.7"
    )


def test_quality_that_may_be_good_enough_or_that_nobody_audited_does_not_fire():
    assert watching.quality_crossing(QualityTrigger(below=0.7), seen(0.66, 0.60, 0.71)) is None
    assert watching.quality_crossing(QualityTrigger(below=0.7), seen(float("nan"), 0.0, 1.0, 0)) is None
    assert watching.quality_crossing(QualityTrigger(below=0.7), LiveQuality("3", 9000, 0)) is None


def test_a_regression_fires_by_its_mean_absolute_error():
    policy = QualityTrigger(metric="mae", above=4.0)
    worse = LiveQuality("3", 9000, 300, mean_absolute_error=Estimate(5.0, 4.5, 5.5, 300))
    found = watching.quality_crossing(policy, worse)
    assert found is not None
    assert "mean absolute error of version 3" in found.note
    assert watching.quality_crossing(policy, LiveQuality("3", 9, 3, mean_absolute_error=Estimate(5, 3.9, 6, 3))) is None


def test_a_schedule_counts_from_the_last_training():
    assert watching.schedule_crossing(timedelta(days=30), NOW - timedelta(days=29), NOW) is None
    found = watching.schedule_crossing(timedelta(days=30), NOW - timedelta(days=31), NOW)
    assert found is not None
    assert "31.0 days have passed since the last training" in found.note


def told(**about: object) -> ThresholdReached:
    common = {"trigger_id": uuid4(), "model": "flights", "dataset_version": 1, "occurred_at": NOW}
    return ThresholdReached.model_validate({**common, "observed": 0.3, "threshold": 0.2, **about})


def test_a_crossing_is_told_once_per_version_and_column():
    found = watching.Finding(TriggerReason.DRIFT, 0.3, 0.2, "", version="3", column="distance")
    same = told(reason=TriggerReason.DRIFT, model_version="3", column="distance")
    assert watching.is_told(found, [told(reason=TriggerReason.COUNT), same])
    assert not watching.is_told(found, [told(reason=TriggerReason.DRIFT, model_version="2", column="distance")])
    assert not watching.is_told(found, [told(reason=TriggerReason.DRIFT, model_version="3", column="carrier")])


def test_the_column_that_drifted_furthest_beyond_chance_comes_first(spec: ModelSpec):
    rng = np.random.default_rng(1)
    rows = pl.DataFrame({"carrier": rng.choice(["UA", "AA"], 4000), "distance": rng.normal(size=4000), "_weight": 1.0})
    taught = drifting.taught(spec, rows, rng.random(4000))
    answers = pl.DataFrame(
        {
            "carrier": rng.choice(["UA", "AA", "B6"], 2000, p=[0.3, 0.3, 0.4]),
            "distance": rng.normal(0.7, size=2000),
            "predicted": "on_time",
            "score": 1.0 - rng.random(2000),
        }
    )
    found = watching.drift_crossings(DriftTrigger(), drifting.drifted("3", spec, taught, answers))
    assert [each.column for each in found] == ["carrier", "distance"]
    assert "carrier has drifted from the training set of version 3: PSI" in found[0].note
    few = drifting.drifted("3", spec, taught, answers.head(watching.MIN_ROWS - 1))
    assert watching.drift_crossings(DriftTrigger(), few) == []


def test_live_quality_is_that_of_each_version_from_audited_answers_alone(spec: ModelSpec):
    n = 400
    ids = [str(number) for number in range(n)]
    predictions = pl.DataFrame(
        {
            "prediction_id": ids,
            "model_version": ["9"] * 200 + ["10"] * 200,
            "variant": "champion",
            "predicted": ["late", "on_time"] * (n // 2),
            "audited": [number % 4 < 2 for number in range(n)],
            "score": 0.8,
        }
    )
    wrong = [number % 8 < 2 and number < 200 for number in range(n)]
    answers = predictions["predicted"].to_list()
    turned = {"late": "on_time", "on_time": "late"}
    label = [turned[answer] if is_wrong else answer for answer, is_wrong in zip(answers, wrong, strict=True)]
    feedback = pl.DataFrame(
        {
            "event_id": ids,
            "prediction_id": ids,
            "model_version": predictions["model_version"],
            "predicted": pl.Series([None] * n, dtype=pl.String),
            "audited": pl.Series([None] * n, dtype=pl.Boolean),
            "label": label,
            "rating": pl.Series([None] * n, dtype=pl.Int32),
            "user_hash": ids,
            "key_id": pl.Series([None] * n, dtype=pl.String),
            "kind": "correction",
            "occurred_at": NOW,
            "received_at": NOW,
        }
    )
    older, newer = live.by_version(spec, predictions, feedback)
    assert (older.version, older.audits, older.accuracy.value) == ("9", 100, 0.5)
    assert (newer.version, newer.audits, newer.accuracy.value) == ("10", 100, 1.0)
    assert older.classes["late"][0].value == 0.5
    ((unheard),) = live.by_version(spec, predictions.filter(pl.col("model_version") == "9"), feedback.clear())
    assert not unheard.accuracy.is_informed
