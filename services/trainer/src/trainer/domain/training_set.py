"""The rows a model learns from: base and feedback, in the order of time, each with its weight."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from flywheel_schemas.spec import ModelSpec
from trainer.domain import caps, evidence_weights, resolution, suspicion
from trainer.domain.errors import CannotTrain

# The leading underscore keeps them apart from features, whose names begin with a letter.
PINNED = ("event_id", "label", "_weight", "occurred_at", "received_at", "_origin", "source", "kind", "_split")


@dataclass(frozen=True, slots=True)
class Sources:
    """The pinned tables; columns as in the lake. Without rows a frame is empty, never absent.

    `decisions` maps ids of events that were kept apart to what a person decided: released or dropped.
    """

    base: pl.DataFrame
    feedback: pl.DataFrame
    predictions: pl.DataFrame
    decisions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """`rows` holds the features of the spec and the columns of PINNED, oldest first; `split` is train or holdout.

    `held` are the answers that were left out, and why.
    """

    rows: pl.DataFrame
    notes: Mapping[str, float | str]
    held: pl.DataFrame = field(default_factory=suspicion.HELD.to_frame)

    @property
    def holdout(self) -> pl.DataFrame:
        """Rows that early stopping and the gates look at."""
        return self.rows.filter(pl.col("_split") == "holdout")

    @property
    def train(self) -> pl.DataFrame:
        """Rows that the candidate learns from before the gates."""
        return self.rows.filter(pl.col("_split") == "train")


def build(sources: Sources, spec: ModelSpec, known_events: frozenset[str] | None = None) -> TrainingSet:
    """The training set of `sources`. `known_events` are the feedback rows that the champion has learned from,
    None where there is no champion.

    Raises CannotTrain where there are not rows enough for training and holdout.
    """
    feedback, held, notes = _taught(sources, spec)
    weights = evidence_weights.weigh(feedback, sources.predictions, spec)
    feedback = feedback.with_columns(pl.Series("_weight", weights.values, dtype=pl.Float64) * pl.col("_trust"))
    base = _base_rows(sources.base, spec)
    feedback = caps.cap(feedback, spec.feedback, other_weight=float(base.height))
    merged = pl.concat([base, feedback.select(base.columns)], how="vertical")
    rows = split(_in_time(merged), spec.training.holdout, known_events)
    counted = rows["_split"].value_counts()
    if counted.height < 2:
        raise CannotTrain(
            f"{rows.height} rows are too few for training and holdout; give a base dataset or more feedback"
        )
    return TrainingSet(rows, {**notes, "audits": weights.audits, "weights": weights.note}, held)


def split(rows: pl.DataFrame, share: float, known_events: frozenset[str] | None) -> pl.DataFrame:
    """`rows` (oldest first) with the column `split`.

    With a champion the holdout is the newest `share` of the feedback that it has not learned from: on those rows
    alone can both be judged. Without a champion, or where nothing is new, it is the newest `share` of all rows.
    Rows that bear no time have no newest: of them the holdout is an even draw.
    """
    new = unseen(known_events or frozenset())
    eligible = new if known_events is not None and rows.filter(new).height else pl.lit(value=True)
    timed = pl.col("occurred_at").is_not_null() & eligible
    untimed = pl.col("occurred_at").is_null() & eligible
    rank = timed.cum_sum()
    newest = timed & (rank > (timed.sum() - (timed.sum() * share).ceil()))
    # Every 1/share-th row: the fractional parts of multiples spread evenly and need no randomness.
    place = untimed.cum_sum() * share
    drawn = untimed & (place.floor() > (place - share).floor())
    return rows.with_columns(pl.when(newest | drawn).then(pl.lit("holdout")).otherwise(pl.lit("train")).alias("_split"))


def unseen(known_events: frozenset[str]) -> pl.Expr:
    """Feedback rows that a model which learned from `known_events` has not seen."""
    return (pl.col("_origin") == "feedback") & ~pl.col("event_id").is_in(sorted(known_events))


def _taught(sources: Sources, spec: ModelSpec) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, float | str]]:
    """Resolved feedback with features, what was left out as suspicious, and how many rows fell by the way."""
    predictions = sources.predictions.unique("prediction_id", keep="first", maintain_order=True)
    # The join goes first: a confirmation that came without a token has its label from the prediction.
    words = resolution.labelled(_with_prediction(sources.feedback, predictions, spec))
    words = words.filter(pl.col("label").is_in(list(spec.classes)) if spec.classes else pl.col("label").is_finite())
    has_features = pl.any_horizontal(pl.col(list(spec.feature_names)).is_not_null())
    screened = suspicion.screen(words.filter(has_features), sources.base, spec, sources.decisions)
    rest = words.filter(~has_features).with_columns(pl.lit(1.0).alias("_trust"))
    resolved = resolution.resolve(pl.concat([screened.words, rest]))
    complete = resolved.filter(has_features)
    notes: dict[str, float | str] = {
        "feedback_rows": sources.feedback.height,
        "labelled_rows": words.height,
        "resolved_rows": resolved.height,
        "held_rows": screened.held.height,
        "doubted_rows": screened.words.filter(pl.col("_trust") < 0.5).height,
        "without_features": resolved.height - complete.height,
    }
    return (
        complete.with_columns(
            pl.lit("feedback").alias("_origin"), pl.col("_said_at").alias("occurred_at"), pl.lit(1.0).alias("_weight")
        ),
        screened.held,
        notes,
    )


def _with_prediction(feedback: pl.DataFrame, predictions: pl.DataFrame, spec: ModelSpec) -> pl.DataFrame:
    """`feedback` with what its predictions saw and said; an event's own features win over the prediction's."""
    features = list(spec.feature_names)
    shared = [*features, "predicted", "audited"]
    seen = predictions.select(
        "prediction_id",
        *(pl.col(name).alias(f"_seen_{name}") for name in shared),
        pl.col("occurred_at").alias("_predicted_at"),
    )
    joined = feedback.join(seen, on="prediction_id", how="left", maintain_order="left")
    own = pl.any_horizontal(pl.col(features).is_not_null())
    taken = [pl.when(own).then(pl.col(name)).otherwise(pl.col(f"_seen_{name}")).alias(name) for name in features]
    known = [pl.coalesce(name, f"_seen_{name}").alias(name) for name in ("predicted", "audited")]
    return joined.with_columns(*taken, *known).drop([f"_seen_{name}" for name in shared])


def _base_rows(base: pl.DataFrame, spec: ModelSpec) -> pl.DataFrame:
    label = pl.Float64 if spec.task == "regression" else pl.String
    typed = [pl.col(feature.name).cast(pl.String if feature.is_text else pl.Float64) for feature in spec.features]
    return base.select(
        pl.lit(None, pl.String).alias("event_id"),
        *typed,
        pl.col("label").cast(label),
        pl.lit(1.0).alias("_weight"),
        pl.col("occurred_at").cast(pl.Datetime("us", "UTC")),
        pl.lit(None, pl.Datetime("us", "UTC")).alias("received_at"),
        pl.lit("base").alias("_origin"),
        pl.lit("base").alias("source"),
        pl.lit("base").alias("kind"),
    )


def _in_time(rows: pl.DataFrame) -> pl.DataFrame:
    """Oldest first; at one time base before feedback, then by event. The order of equals is that of the file."""
    return rows.sort(["occurred_at", "_origin", "event_id"], nulls_last=False, maintain_order=True)
