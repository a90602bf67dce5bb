import numpy as np
import pytest

from stream_processor.adapters.measures import Freshness, Lag


def test_freshness_takes_a_flush_at_once_and_adds_up():
    freshness = Freshness()
    freshness.observe("feedback-events", np.array([0.2, 0.5, 1.5, 9000.0]))
    freshness.observe("feedback-events", np.array([1.5]))
    (family,) = freshness.collect()
    samples = {sample.labels.get("le", sample.name): sample.value for sample in family.samples}
    assert samples["0.5"] == 2
    assert samples["2.0"] == 4
    assert samples["7200.0"] == 4
    assert samples["+Inf"] == 5
    assert samples["flywheel_processor_freshness_seconds_sum"] == pytest.approx(9003.7)


def test_a_flush_without_rows_adds_nothing():
    freshness = Freshness()
    freshness.observe("predictions", np.array([]))
    (family,) = freshness.collect()
    assert {sample.value for sample in family.samples} == {0}


def test_lag_is_of_the_partitions_that_are_ours_now():
    lag, ours = Lag(), {0: 5, 1: 0}
    lag.of("predictions", lambda: ours)
    (family,) = lag.collect()
    assert {sample.labels["partition"]: sample.value for sample in family.samples} == {"0": 5, "1": 0}
    del ours[0]
    (family,) = lag.collect()
    assert [sample.labels["partition"] for sample in family.samples] == ["1"]
