from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evidence.drift import Drift
from lake import Lake, LakeSettings
from trainer.adapters.datasets import LakeDatasets
from trainer.adapters.drift_histories import LakeDriftHistories
from trainer.application.drift_history import DriftHistory
from trainer.domain import drift_history
from trainer.domain.drift_history import DriftSample
from trainer.domain.drifting import Drifted

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def a_sample(minute: int) -> DriftSample:
    return DriftSample(NOW + timedelta(minutes=minute), "3", 500, {"distance": 0.1, "scores": 0.02}, 0.01)


def test_a_long_series_stays_bounded_reaches_back_to_its_beginning_and_is_densest_at_its_end():
    history: list[DriftSample] = []
    for minute in range(5_000):
        history = drift_history.added(history, a_sample(minute))

    assert len(history) <= drift_history.KEPT
    assert history[0] == a_sample(0)
    assert history[-50:] == [a_sample(minute) for minute in range(4_950, 5_000)]
    assert [each.at for each in history] == sorted(each.at for each in history)


def test_a_point_is_due_a_minute_after_the_last():
    assert drift_history.is_due([], NOW)
    assert not drift_history.is_due([a_sample(0)], NOW + timedelta(seconds=59))
    assert drift_history.is_due([a_sample(0)], NOW + timedelta(seconds=60))


@pytest.fixture
def histories(tmp_path: Path) -> LakeDriftHistories:
    return LakeDriftHistories(Lake(LakeSettings(LAKE_URI=tmp_path.as_uri())))


def test_a_series_is_read_as_it_was_written(histories: LakeDriftHistories):
    assert histories.read("flights") == []
    histories.write("flights", [a_sample(0), a_sample(1)])
    assert histories.read("flights") == [a_sample(0), a_sample(1)]


def seen(rows: int) -> Drifted:
    moved = Drift(0.123456, 0.01, rows, ("a", "b"), (0.5, 0.5), (0.7, 0.3))
    return Drifted("3", 1000, rows, {"distance": moved}, moved)


def test_what_is_seen_becomes_a_point_where_it_rests_on_answers_enough_and_is_due(tmp_path, histories):
    history = DriftHistory(LakeDatasets(Lake(LakeSettings(LAKE_URI=tmp_path.as_uri())), None), histories)
    assert not history.add("flights", None, NOW)
    assert not history.add("flights", seen(rows=99), NOW)
    assert history.add("flights", seen(rows=100), NOW)
    assert not history.add("flights", seen(rows=100), NOW + timedelta(seconds=59))
    [point] = histories.read("flights")
    assert (point.at, point.rows, point.psi) == (NOW, 100, {"distance": 0.1235, "scores": 0.1235})
