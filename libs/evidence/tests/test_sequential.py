import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.sequential import NOTHING, Arm, Outcomes, Stratum, difference

RIGHT = st.integers(0, 400)


def arm(right: int, n: int) -> Arm:
    return Arm({"late": Outcomes(n, right, right)})


def test_nothing_audited_on_one_side_is_no_evidence() -> None:
    assert difference([], resolve=0.02) == NOTHING
    assert difference([Stratum(arm(0, 0), arm(3, 4))], resolve=0.02) == NOTHING
    assert difference([Stratum(Arm(), Arm())], resolve=0.02) == NOTHING


@given(RIGHT, RIGHT)
def test_the_bounds_hold_the_value_and_swapping_the_versions_turns_them_over(own: int, theirs: int) -> None:
    a, b = arm(own, 400), arm(theirs, 400)
    one, other = difference([Stratum(b, a)], resolve=0.02), difference([Stratum(a, b)], resolve=0.02)
    assert one.low < one.value < one.high
    assert one.value == pytest.approx((own - theirs) / 400)
    assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low))


@given(st.integers(50, 300), st.integers(50, 300))
def test_four_times_the_evidence_narrows_the_bounds(own: int, theirs: int) -> None:
    few = difference([Stratum(arm(theirs, 400), arm(own, 400))], resolve=0.02)
    many = difference([Stratum(arm(4 * theirs, 1600), arm(4 * own, 1600))], resolve=0.02)
    assert many.high - many.low < few.high - few.low


def test_a_world_that_changes_between_steps_favours_neither() -> None:
    # Both are equally good in each step; pooled, the challenger would look 12 points worse (Simpson's paradox).
    easy = Stratum(arm(855, 950), arm(45, 50))
    hard = Stratum(arm(300, 500), arm(300, 500))
    assert difference([easy, hard], resolve=0.02).value == pytest.approx(0.0)


def test_classes_count_by_their_predictions_and_not_by_who_answered() -> None:
    outcomes = {"late": Outcomes(90, 45, 45), "on_time": Outcomes(10, 10, 10)}
    assert Arm(outcomes).estimate()[0] == pytest.approx(0.55)
    assert Arm(outcomes, {"late": 10, "on_time": 90}).estimate()[0] == pytest.approx(0.95)


def test_the_bounds_are_left_by_fewer_than_promised_however_often_one_looks() -> None:
    random, left = np.random.default_rng(11), 0
    for _ in range(300):
        own, theirs = random.random((2, 6000)) < 0.7
        looks = (
            difference([Stratum(arm(int(theirs[:n].sum()), n), arm(int(own[:n].sum()), n))], resolve=0.02)
            for n in range(100, 6001, 100)
        )
        left += any(not found.low <= 0.0 <= found.high for found in looks)
    assert left <= 15


def test_a_difference_of_scores_that_are_no_classes_is_found_too() -> None:
    random = np.random.default_rng(3)
    own, theirs = -random.exponential(0.8, 3000), -random.exponential(1.0, 3000)
    arms = [Arm({"": Outcomes(len(s), float(s.sum()), float((s**2).sum()))}) for s in (theirs, own)]
    found = difference([Stratum(*arms)], resolve=0.05)
    assert 0.0 < found.low < 0.2 < found.high
    assert math.isfinite(found.high)
