import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.drift import MISSING, OTHER, Reference

ONES = np.ones(5000)


def test_the_same_distribution_hardly_drifts_and_seldom_beyond_chance():
    rng = np.random.default_rng(1)
    beyond = 0
    for _ in range(200):
        reference = Reference.of_numbers(rng.normal(size=2000), np.ones(2000))
        beyond += reference.compare(rng.normal(size=500)).surely_above > 0.0
    assert beyond / 200 <= 0.03


def test_a_shift_by_half_a_deviation_is_a_large_drift():
    rng = np.random.default_rng(2)
    seen = Reference.of_numbers(rng.normal(size=5000), ONES).compare(rng.normal(0.5, size=5000))
    # For two normal distributions PSI is the shift squared; ten bins lose a little of it.
    assert 0.18 < seen.psi < 0.28
    assert seen.surely_above > 0.15


def test_missing_and_unheard_of_values_have_bins_of_their_own():
    reference = Reference.of_categories(["a"] * 60 + ["b"] * 40, np.ones(100))
    seen = reference.compare(["a"] * 50 + ["new"] * 25 + [None] * 25)
    now = dict(zip(seen.labels, seen.now, strict=True))
    assert now[OTHER] > 0.2 < now[MISSING]
    numbers = Reference.of_numbers(np.arange(100.0), np.ones(100)).compare(np.array([np.nan] * 50 + [1.0] * 50))
    assert numbers.labels[-1] == MISSING
    assert numbers.now[-1] > 0.4


def test_weights_count_rows_as_often_as_they_weigh():
    values = np.array([0.0] * 50 + [1.0] * 50)
    weighted = Reference.of_numbers(values, np.where(values > 0, 9.0, 1.0))
    assert weighted.compare(np.array([0.0] * 10 + [1.0] * 90)).psi < 0.01


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80), st.lists(st.floats(-1e6, 1e6), max_size=80))
def test_psi_is_never_negative_and_shares_are_whole(then, now):
    seen = Reference.of_numbers(np.array(then), np.ones(len(then))).compare(np.array(now))
    assert seen.psi >= 0.0
    assert abs(sum(seen.then) - 1.0) < 1e-9 > abs(sum(seen.now) - 1.0)
    assert len(seen.labels) == len(seen.then) == len(seen.now)
