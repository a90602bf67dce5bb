import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.domain.caps import weight_limit

WEIGHTS = st.lists(st.floats(0.1, 1e4), min_size=1, max_size=40)


@given(WEIGHTS, st.floats(0.005, 0.5), st.floats(0.0, 1e5))
def test_nobody_passes_the_share_wherever_the_share_can_be_kept(
    weights: list[float], share: float, others: float
) -> None:
    limit = weight_limit(np.array(weights), share, others)
    kept = np.minimum(weights, limit)
    total = others + kept.sum()
    too_few = len(weights) * share >= 1.0 or others == 0.0
    if not too_few:
        assert kept.max() <= share * total * (1 + 1e-9)


def test_a_flood_from_one_user_is_held_at_the_share_of_what_is_left() -> None:
    limit = weight_limit(np.array([5000.0, 1.0, 1.0]), 0.02, 10_000.0)
    assert limit == pytest.approx(0.02 * (10_000 + 2 + limit))


def test_weights_within_the_share_are_left_alone() -> None:
    assert weight_limit(np.array([10.0, 5.0]), 0.02, 1000.0) >= 10.0
