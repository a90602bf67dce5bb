"""No single person's word weighs more than a share of everything."""

import polars as pl

from evidence.caps import weight_limit


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
