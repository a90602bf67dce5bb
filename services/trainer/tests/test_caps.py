import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel_schemas.spec import FeedbackPolicy
from trainer.domain.caps import cap, weight_limit

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


VOTES = st.lists(
    st.tuples(st.sampled_from([None, "u", "v", "w"]), st.sampled_from([None, "k", "l"]), st.floats(0.1, 500.0)),
    min_size=1,
    max_size=30,
)


@given(VOTES, st.floats(0.05, 0.3), st.floats(0.1, 0.6))
def test_neither_a_user_nor_a_key_passes_its_share_beside_enough_else(
    votes: list[tuple[str | None, str | None, float]], per_user: float, per_key: float
) -> None:
    users, keys, weights = zip(*votes, strict=True)
    feedback = pl.DataFrame(
        {"user_hash": users, "key_id": keys, "_weight": weights},
        schema={"user_hash": pl.String, "key_id": pl.String, "_weight": pl.Float64},
    )
    policy = FeedbackPolicy(max_share_per_user=per_user, max_share_per_key=per_key)
    base = 10_000.0
    capped = cap(feedback, policy, base)
    total = base + capped["_weight"].sum()
    for by, share in (("user_hash", per_user), ("key_id", per_key)):
        held = capped.filter(pl.col(by).is_not_null()).group_by(by).agg(pl.col("_weight").sum())
        assert held.is_empty() or held["_weight"].max() <= share * total * (1 + 1e-6)
    assert (capped["_weight"] <= feedback["_weight"] * (1 + 1e-12)).all()


def test_one_key_among_others_is_held_at_its_share_and_without_keys_nothing_is() -> None:
    flood = pl.DataFrame({"user_hash": [None, None], "key_id": ["k", None], "_weight": [900.0, 50.0]})
    flood = flood.with_columns(pl.col("user_hash").cast(pl.String))
    assert cap(flood, FeedbackPolicy(), 50.0)["_weight"].to_list() == pytest.approx([100.0, 50.0])
    keyless = flood.with_columns(pl.lit(None, pl.String).alias("key_id"))
    assert cap(keyless, FeedbackPolicy(), 50.0)["_weight"].to_list() == [900.0, 50.0]
