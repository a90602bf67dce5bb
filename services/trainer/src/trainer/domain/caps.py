"""No single person's word, and no single API key's, weighs more than a share of everything."""

import polars as pl

from evidence.caps import weight_limit
from flywheel_schemas.spec import FeedbackPolicy

_ROUNDS, _STILL = 50, 1e-9


def cap(feedback: pl.DataFrame, policy: FeedbackPolicy, other_weight: float) -> pl.DataFrame:
    """`feedback` with weights lowered so that each user and each API key has at most its share of the total.

    The total is what is left after capping, with `other_weight` (the base rows). Lowering one kind raises the other's
    shares, so both are lowered in turn until neither moves: weights only ever fall, so this ends.
    """
    for _ in range(_ROUNDS):
        before = feedback["_weight"]
        feedback = cap_share(feedback, "user_hash", policy.max_share_per_user, other_weight)
        feedback = cap_share(feedback, "key_id", policy.max_share_per_key, other_weight)
        if ((before - feedback["_weight"]).abs() <= _STILL * before).all():
            break
    return feedback


def cap_share(feedback: pl.DataFrame, by: str, share: float, other_weight: float) -> pl.DataFrame:
    """`feedback` with the weights lowered so that each value of the column `by` has at most `share` of the total.

    Rows without a value are not capped; where none has one (a deployment without API keys), nothing is. All rows of a
    value are lowered by one factor.
    """
    if feedback.is_empty() or feedback[by].null_count() == feedback.height:
        return feedback
    nameless = float(feedback.filter(pl.col(by).is_null())["_weight"].sum())
    totals = feedback.filter(pl.col(by).is_not_null()).group_by(by, maintain_order=True).agg(pl.col("_weight").sum())
    limit = weight_limit(totals["_weight"].to_numpy(), share, other_weight + nameless)
    total = pl.col("_weight").sum().over(by)
    factor = pl.when(pl.col(by).is_not_null() & (total > limit)).then(limit / total).otherwise(1.0)
    return feedback.with_columns((pl.col("_weight") * factor).alias("_weight"))
