"""Which answers a training leaves out, and how much the others are believed, by what the base data lead one to expect.

A pure function of the rows: the same rows give the same verdicts in any order, so nothing needs to be kept of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from features import FeatureSchema
from flywheel_schemas.spec import ModelSpec
from trainer.domain import bursts, expectation, trust

# An answer that fewer than this share of all neighbours gave, though each tree saw at least 25 of them.
FEWEST_NEIGHBOURS = 0.0005
# Where more answers than this share are so, it is the world that has changed since the base data.
_MOST_ALONE = 0.02
# Above it a user's answers are left out rather than weighed down.
SURELY_FALSE = 0.99
HELD = pl.Schema(
    [
        ("event_id", pl.String()),
        ("kind", pl.String()),
        ("reason", pl.String()),
        ("score", pl.Float64()),
        ("received_at", pl.Datetime("us", "UTC")),
    ]
)


@dataclass(frozen=True, slots=True)
class Screened:
    """`words` with the column `_trust` (0 to 1), and what was left out, with the columns of HELD."""

    words: pl.DataFrame
    held: pl.DataFrame


def screen(words: pl.DataFrame, base: pl.DataFrame, spec: ModelSpec, decisions: Mapping[str, str]) -> Screened:
    """Look at labelled answers with their features.

    `decisions` maps event ids to what a person decided: `released` answers are believed, `dropped` ones left out.
    Without enough base rows, and for regressions (an odd number is kept apart by its range), only `dropped` ones are.
    """
    trusted = words.with_columns(pl.lit(1.0).alias("_trust"))
    reasons = dict.fromkeys(range(words.height), ("", 0.0))
    dropped = np.array([decisions.get(one) == "dropped" for one in words["event_id"]], dtype=bool)
    if spec.classes and base.height >= expectation.FEWEST_BASE_ROWS and words.height:
        told = _told(words, base, spec)
        doubts = trust.doubt(told)
        reasons = _reasons(words, told, doubts)
        trusted = words.with_columns(pl.Series("_trust", trust.factors(doubts), dtype=pl.Float64))
    released = np.array([decisions.get(one) == "released" for one in words["event_id"]], dtype=bool)
    suspicious = np.array([bool(reason) for reason, _ in reasons.values()], dtype=bool)
    out = (suspicious & ~released) | dropped
    trust_column = pl.when(pl.Series(released)).then(1.0).otherwise(pl.col("_trust"))
    trusted = trusted.with_columns(trust_column.alias("_trust"))
    return Screened(trusted.filter(pl.Series(~out)), _held(words, reasons, np.flatnonzero(out)))


def _told(words: pl.DataFrame, base: pl.DataFrame, spec: ModelSpec) -> trust.Words:
    schema = FeatureSchema(spec)
    matrices = [schema.matrix({name: frame[name].to_arrow() for name in schema.names}) for frame in (base, words)]
    index = {name: at for at, name in enumerate(spec.classes)}
    answers = base["label"].replace_strict(index, return_dtype=pl.Int64).to_numpy()
    said = words["label"].replace_strict(index, return_dtype=pl.Int64).to_numpy()
    asked = words.select(
        pl.struct(pl.col("predicted").fill_null(""), pl.col("audited").fill_null(value=False)).rank("dense")
    )
    users = words["user_hash"].rank("dense").fill_null(0).cast(pl.Int64).to_numpy() - 1
    return trust.Words(
        expectation.expected(matrices[0], answers, matrices[1], len(index)), said, users, asked.to_series().to_numpy()
    )


def _reasons(words: pl.DataFrame, told: trust.Words, doubts: np.ndarray) -> dict[int, tuple[str, float]]:
    """By place why an answer is suspicious and how much; ("", 0) where it is not. The first reason is said."""
    likely = told.expected[np.arange(words.height), told.said]
    users, keys = words["user_hash"], words["key_id"]
    burst = bursts.find(words["received_at"], {"user": users, "API key": keys}, -np.log(np.maximum(likely, 1e-6)))
    alone = likely < FEWEST_NEIGHBOURS
    if alone.mean() > _MOST_ALONE:
        alone = np.zeros(len(alone), dtype=bool)
    found = {}
    for at in range(words.height):
        if at in burst:
            found[at] = burst[at]
        elif doubts[at] > SURELY_FALSE:
            sentence = "user: the answers of this user contradict what is expected again and again"
            found[at] = (sentence, float(doubts[at]))
        elif alone[at]:
            sentence = f"neighbours: fewer than {FEWEST_NEIGHBOURS:.2%} of the most similar base rows have this label"
            found[at] = (sentence, float(1.0 - likely[at]))
        else:
            found[at] = ("", 0.0)
    return found


def _held(words: pl.DataFrame, reasons: Mapping[int, tuple[str, float]], places: np.ndarray) -> pl.DataFrame:
    rows = words[places.tolist()].select("event_id", "kind", "received_at")
    why = [reasons[int(at)] if reasons[int(at)][0] else ("dropped: a person left it out", 0.0) for at in places]
    told = rows.with_columns(
        pl.Series("reason", [reason for reason, _ in why], dtype=pl.String),
        pl.Series("score", [score for _, score in why], dtype=pl.Float64),
    )
    return pl.DataFrame(told.select([pl.col(name).cast(dtype) for name, dtype in HELD.items()]))
