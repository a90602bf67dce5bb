"""What each row of feedback stands for, from the answers that were drawn at random."""

import numpy as np
import polars as pl

from evidence.weights import Weights, audited_weights, audited_weights_regression
from flywheel_schemas.spec import ModelSpec


def weigh(feedback: pl.DataFrame, predictions: pl.DataFrame, spec: ModelSpec) -> Weights:
    """One weight per row of `feedback` (resolved, with `predicted` and `audited`).

    A row about no prediction (an example) stands for itself. The predictions counted are those that were
    shown to somebody, from the first to the last that got a label: later ones had no time to get one.
    """
    values = np.ones(feedback.height)
    about = feedback["predicted"].is_not_null().to_numpy()
    if spec.training.weights == "none":
        return Weights(values, 0, (), "weights are off: every row weighs 1")
    rows = feedback.filter(pl.col("predicted").is_not_null())
    if rows.is_empty():
        return Weights(values, 0, (), "no feedback is about a prediction: every row weighs 1")
    shown = _shown(predictions, rows)
    found = _regression(rows, shown) if spec.task == "regression" else _classes(rows, shown)
    values[about] = found.values
    return Weights(values, found.audits, found.cells, found.note)


def _shown(predictions: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    answered = pl.coalesce("_predicted_at", "occurred_at")
    span = rows.select(answered.min().alias("first"), answered.max().alias("last")).row(0)
    return predictions.filter((pl.col("variant") != "shadow") & pl.col("occurred_at").is_between(*span))


def _classes(rows: pl.DataFrame, shown: pl.DataFrame) -> Weights:
    counted = dict(shown.group_by("predicted").len().iter_rows())
    labelled = dict(rows.group_by("predicted").len().iter_rows())
    # A token can outlive its prediction's row: there are never fewer predictions than answers to them.
    counts = {name: max(counted.get(name, 0), labelled.get(name, 0)) for name in counted.keys() | labelled.keys()}
    predicted, label = rows["predicted"].to_numpy(), rows["label"].to_numpy()
    return audited_weights(predicted, label, _audited(rows), counts)


def _regression(rows: pl.DataFrame, shown: pl.DataFrame) -> Weights:
    everything = shown["predicted"] if shown.height >= rows.height else rows["predicted"]
    predicted, label = rows["predicted"].to_numpy(), rows["label"].to_numpy()
    return audited_weights_regression(predicted, label, _audited(rows), np.sort(everything.to_numpy()))


def _audited(rows: pl.DataFrame) -> np.ndarray:
    return rows["audited"].fill_null(value=False).to_numpy()
