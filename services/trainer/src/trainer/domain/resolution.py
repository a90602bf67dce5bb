"""Which label a prediction gets from everything that people said about it.

The result does not depend on the order in which the words arrived.
"""

import polars as pl

WORDS = ("correction", "confirmation", "example")


def labelled(feedback: pl.DataFrame) -> pl.DataFrame:
    """The rows of `feedback` that teach: with a label, and at a time that is not in the future.

    A confirmation's label is what was predicted. A rating is satisfaction and never a label. `said_at` is
    occurred_at, or received_at where a client dated its feedback after we had received it.
    """
    label = pl.when(pl.col("kind") == "confirmation").then(pl.coalesce("label", "predicted")).otherwise(pl.col("label"))
    said_at = pl.min_horizontal("occurred_at", "received_at")
    return (
        feedback.filter(pl.col("kind").is_in(WORDS))
        .with_columns(label.alias("label"), said_at.alias("_said_at"))
        .filter(pl.col("label").is_not_null())
    )


def resolve(words: pl.DataFrame) -> pl.DataFrame:
    """One row per prediction (and each row that names none as it is), from rows as `labelled` gives them.

    Of each user the latest word counts, and of the anonymous together the latest. The label with most votes wins;
    among labels with as many, the one said last. The row that stays is the last that gave that label. A vote weighs
    1, or what the column `_trust` says of its user.
    """
    if "_trust" not in words.columns:
        words = words.with_columns(pl.lit(1.0).alias("_trust"))
    order = ["_said_at", "received_at", "event_id"]
    alone = words.filter(pl.col("prediction_id").is_null())
    about = words.filter(pl.col("prediction_id").is_not_null()).sort(order)
    voter = pl.col("user_hash").fill_null("")
    latest = about.with_columns(voter.alias("_voter")).unique(
        ["prediction_id", "_voter"], keep="last", maintain_order=True
    )
    votes = latest.with_columns(
        pl.col("_trust").sum().round(9).over("prediction_id", "label").alias("_votes"),
        pl.col("audited").fill_null(value=False).any().over("prediction_id").alias("audited"),
    )
    chosen = votes.sort(["_votes", *order]).unique("prediction_id", keep="last", maintain_order=True)
    return pl.concat([alone, chosen.drop("_votes", "_voter")], how="diagonal_relaxed")
