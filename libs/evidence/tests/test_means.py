import math

import numpy as np
import pytest

from evidence.means import mean, mean_absolute_error


def test_the_error_of_a_regression_is_that_of_all_predictions_not_of_the_volunteers():
    rng, covered = np.random.default_rng(1), 0
    for _ in range(300):
        predicted = rng.normal(size=4000)
        label = predicted + rng.normal(size=4000) * (1.0 + (predicted > 0.5))
        off = np.abs(predicted - label)
        audited = rng.random(4000) < 0.02
        heard = audited | (rng.random(4000) < 0.05 * off)
        seen = mean_absolute_error(predicted[heard], label[heard], audited[heard], predicted)
        covered += seen.low <= off.mean() <= seen.high
    assert covered / 300 >= 0.92


def test_without_audits_nothing_is_claimed_and_with_one_hardly_anything():
    none = mean_absolute_error(np.ones(3), np.ones(3), np.zeros(3, bool), np.ones(9))
    assert math.isnan(none.value)
    assert not none.is_informed
    one = mean_absolute_error(np.ones(1), np.zeros(1), np.ones(1, bool), np.ones(9))
    assert (one.value, one.low, one.high) == (1.0, -math.inf, math.inf)


@pytest.mark.parametrize(("n", "quantile"), [(5, 2.776), (11, 2.228), (31, 2.042)])
def test_a_mean_has_students_interval(n, quantile):
    values = np.arange(n, dtype=float)
    seen = mean(values)
    spread = quantile * values.std(ddof=1) / math.sqrt(n)
    assert seen.high - seen.value == pytest.approx(spread, rel=0.02)
