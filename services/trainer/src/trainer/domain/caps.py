"""No single person's word weighs more than a share of everything."""

import numpy as np
import polars as pl


def cap_users(feedback: pl.DataFrame, share: float, other_weight: float) -> pl.DataFrame:
    """`feedback` with the weights of users lowered so that each has at most `share` of the total weight.

    The total is what is left after capping, with `other_weight` (the base rows) and feedback without a user,
    whose own rows are not capped. All rows of a user are lowered by one factor.
    """
    if feedback.is_empty() or feedback["user_hash"].null_count() == feedback.height:
        return feedback
    anonymous = float(feedback.filter(pl.col("user_hash").is_null())["_weight"].sum())
    per_user = feedback.filter(pl.col("user_hash").is_not_null()).group_by("user_hash").agg(pl.col("_weight").sum())
    limit = weight_limit(per_user["_weight"].to_numpy(), share, other_weight + anonymous)
    total = pl.col("_weight").sum().over("user_hash")
    factor = pl.when(pl.col("user_hash").is_not_null() & (total > limit)).then(limit / total).otherwise(1.0)
    return feedback.with_columns((pl.col("_weight") * factor).alias("_weight"))


def weight_limit(per_user: np.ndarray, share: float, others: float) -> float:
    """The largest c with c = share x (others + sum of min(weight, c)).

    Where too few users and too little else are there for any such c (two users cannot each have 2 %), the
    weight of the largest user that need not be lowered, so that all above it count alike.
    """
    weights = np.sort(per_user)[::-1]
    for lowered in range(len(weights)):
        rest = others + float(weights[lowered:].sum())
        if lowered * share >= 1.0:
            return float(weights[lowered])
        limit = share * rest / (1.0 - lowered * share)
        if weights[lowered] <= limit:
            return limit if lowered else float(weights[0])
    remaining = 1.0 - len(weights) * share
    return share * others / remaining if remaining > 0.0 and others > 0.0 else float(weights[-1])
