"""How good each version is on what it answers, from the feedback that was drawn at random."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from evidence.means import mean, mean_absolute_error
from evidence.quality import UNKNOWN, Aid, Estimate, quality
from flywheel_schemas.spec import ModelSpec
from trainer.domain import resolution


@dataclass(frozen=True, slots=True)
class LiveQuality:
    """One version's answers of a window. Each estimate names the answers behind it; none is claimed without any.

    `precision` and `recall` are those of the positive class; `classes` holds both for each class. A regression has
    `mean_absolute_error` instead. `satisfaction` is the mean of volunteered ratings: of those who rate, not of all.
    """

    version: str
    predictions: int
    audits: int
    accuracy: Estimate = UNKNOWN
    precision: Estimate = UNKNOWN
    recall: Estimate = UNKNOWN
    classes: Mapping[str, tuple[Estimate, Estimate]] = field(default_factory=dict)
    mean_absolute_error: Estimate = UNKNOWN
    satisfaction: Estimate = UNKNOWN


def by_version(spec: ModelSpec, predictions: pl.DataFrame, feedback: pl.DataFrame) -> list[LiveQuality]:
    """Every version that answered, oldest first. Both frames hold a window's rows, with the columns of the lake.

    Feedback about answers outside the window is left out, so that answers and words are of the same predictions.
    """
    shown = predictions.filter(pl.col("variant") != "shadow").unique("prediction_id", keep="first", maintain_order=True)
    words = _words(shown, feedback)
    versions = sorted(shown["model_version"].drop_nulls().unique().to_list(), key=lambda name: (len(name), name))
    return [_of(spec, version, shown, words, feedback) for version in versions]


def _words(shown: pl.DataFrame, feedback: pl.DataFrame) -> pl.DataFrame:
    """One resolved label per answer, with what the prediction itself says of version, answer and audit."""
    about = shown.select("prediction_id", pl.col("predicted").alias("_answered"))
    known = feedback.join(about, on="prediction_id", how="inner", maintain_order="left")
    known = known.with_columns(pl.coalesce("predicted", "_answered").alias("predicted"))
    resolved = resolution.resolve(resolution.labelled(known))
    answers = shown.select("prediction_id", "model_version", "predicted", "audited", "score")
    return resolved.select("prediction_id", "label").join(answers, on="prediction_id", how="inner")


def _of(spec: ModelSpec, version: str, shown: pl.DataFrame, words: pl.DataFrame, feedback: pl.DataFrame) -> LiveQuality:
    answered = shown.filter(pl.col("model_version") == version)
    mine = words.filter(pl.col("model_version") == version)
    ratings = feedback.filter((pl.col("kind") == "rating") & (pl.col("model_version") == version))["rating"]
    satisfaction = mean(ratings.drop_nulls().cast(pl.Float64).to_numpy())
    predicted, label = mine["predicted"].to_numpy(), mine["label"].to_numpy()
    audited = mine["audited"].fill_null(value=False).to_numpy()
    counts = LiveQuality(version, answered.height, int(audited.sum()), satisfaction=satisfaction)
    if spec.task == "regression":
        error = mean_absolute_error(predicted, label, audited, answered["predicted"].to_numpy())
        return _with(counts, mean_absolute_error=error)
    by_class = dict(answered.group_by("predicted").len().iter_rows())
    aid = _aid(answered, mine)
    each = {name: quality(predicted, label, audited, by_class, name, aid=aid) for name in spec.classes}
    shared = next(iter(each.values()))
    found = _with(
        counts, accuracy=shared.accuracy, classes={name: (seen.precision, seen.recall) for name, seen in each.items()}
    )
    if spec.label.positive is None:
        return found
    positive = each[spec.label.positive]
    return _with(found, precision=positive.precision, recall=positive.recall)


def _aid(answered: pl.DataFrame, mine: pl.DataFrame) -> Aid | None:
    """How much the version doubted each answer; None where a score is missing."""
    if answered["score"].null_count() or not mine.height:
        return None
    means = answered.group_by("predicted").agg(1.0 - pl.col("score").mean())
    return Aid(1.0 - mine["score"].to_numpy(), dict(means.iter_rows()))


def _with(seen: LiveQuality, **more: object) -> LiveQuality:
    return replace(seen, **more)  # type: ignore[arg-type]  # the names are those of the fields
