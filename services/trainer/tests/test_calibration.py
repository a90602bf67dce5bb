import numpy as np
import pytest
from scipy.special import expit, softmax

from trainer.domain import calibration
from trainer.domain.calibration import miscalibration

RANDOM = np.random.default_rng(3)
N = 20_000


def test_a_model_that_is_too_sure_is_brought_back_to_the_truth() -> None:
    truth = RANDOM.normal(size=N)
    targets = (RANDOM.random(N) < expit(truth)).astype(np.float64)
    told = 3.0 * truth - 1.0
    found = calibration.fit(told, targets, np.ones(N))
    assert found is not None
    assert found.scale == pytest.approx(1 / 3, rel=0.1)
    assert found.shifts[0] == pytest.approx(1 / 3, abs=0.1)
    before = miscalibration(targets, expit(told), np.ones(N))
    after = miscalibration(targets, expit(found.scale * told + found.shifts[0]), np.ones(N))
    assert before.surely_above > 0.1
    assert after.error < 0.02


def test_many_classes_share_one_temperature() -> None:
    truth = RANDOM.normal(size=(N, 3))
    targets = np.array([RANDOM.choice(3, p=row) for row in softmax(truth, axis=1)], dtype=np.float64)
    found = calibration.fit(4.0 * truth, targets, np.ones(N))
    assert found is not None
    assert found.scale == pytest.approx(0.25, rel=0.1)


def test_rows_of_one_class_calibrate_nothing() -> None:
    assert calibration.fit(np.array([0.1, 0.2]), np.ones(2), np.ones(2)) is None


def test_few_rows_leave_the_error_in_doubt() -> None:
    targets = (RANDOM.random(60) < 0.5).astype(np.float64)
    seen = miscalibration(targets, np.full(60, 0.5), np.ones(60))
    assert seen.error > 0.05
    assert seen.surely_above < seen.error / 2


def test_a_handful_of_rows_that_all_came_out_alike_proves_nothing() -> None:
    targets = np.array([1.0] * 6 + [0.0] * 6)
    seen = miscalibration(targets, np.where(targets == 1.0, 0.75, 0.25), np.ones(12))
    assert seen.error == pytest.approx(0.25)
    assert seen.surely_above < 0.01


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_answers_of_a_regression_are_off_by_what_chance_does_not_explain(shift: float) -> None:
    said = RANDOM.normal(size=2000)
    seen = miscalibration(said + shift + RANDOM.normal(size=2000), said, np.ones(2000), probabilities=False)
    assert seen.surely_above == pytest.approx(shift, abs=0.15)
