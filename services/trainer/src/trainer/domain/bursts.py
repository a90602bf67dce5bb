"""Bursts: many answers within one minute from one user, one API key or everybody, which contradict expectation.

Neither alone is suspicious: a diligent annotator posts many, and in a storm many flights are late. Both together are.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

# Nobody considers more answers than this in a minute.
FEWEST_OF_A_USER = 30
FEWEST_OF_MANY = 500
_DEVIATIONS = 6.0
_EXCESS = 0.3


def find(
    received_at: pl.Series, sources: Mapping[str, pl.Series], surprise: np.ndarray
) -> dict[int, tuple[str, float]]:
    """By place the reason and score of answers that are part of a burst.

    `surprise` is -log P(answer) by expectation; `sources` names who may be behind it (null: unknown). A source's
    minute is a burst where its answers are many (far out among such minutes by Tukey's fence on the logarithm of
    their counts, and more than anybody types) and surprise by `score` standard errors more than the others.
    """
    minute = received_at.dt.truncate("1m")
    found: dict[int, tuple[str, float]] = {}
    for name, source in {**sources, "everybody": pl.Series(["all"] * len(minute))}.items():
        fewest = FEWEST_OF_A_USER if name == "user" else FEWEST_OF_MANY
        for at, verdict in _of(name, pl.DataFrame({"source": source, "minute": minute}), surprise, fewest).items():
            found.setdefault(at, verdict)
    return found


def _of(name: str, words: pl.DataFrame, surprise: np.ndarray, fewest: int) -> dict[int, tuple[str, float]]:
    words = words.with_columns(pl.Series("surprise", surprise), pl.int_range(pl.len()).alias("at"))
    minutes = words.drop_nulls("source").group_by("source", "minute").agg(
        pl.len().alias("n"), pl.col("surprise").mean(), pl.col("at")
    ).sort("source", "minute")  # fmt: skip
    many = minutes.filter((pl.col("n") >= fewest) & (pl.col("n") > _fence(minutes["n"].to_numpy())))
    found = {}
    for row in many.iter_rows(named=True):
        others = np.delete(surprise, row["at"])
        if len(others) < fewest:
            continue
        excess = row["surprise"] - float(others.mean())
        score = excess * float(np.sqrt(row["n"])) / max(float(others.std()), 1e-9)
        if excess > _EXCESS and score > _DEVIATIONS:
            sentence = f"burst: {row['n']} answers of one {name} in the minute of {row['minute']:%Y-%m-%d %H:%M}"
            if name == "everybody":
                sentence = sentence.replace(" of one everybody", "")
            found.update(dict.fromkeys(row["at"], (f"{sentence}, and they contradict what is expected", score)))
    return found


def _fence(counts: np.ndarray) -> float:
    """Above it a count is far out: Tukey's outer fence on logarithms, 3 interquartile distances above the third."""
    low, high = np.quantile(np.log(counts), (0.25, 0.75)) if len(counts) else (0.0, 0.0)
    return float(np.exp(high + 3.0 * (high - low)))
