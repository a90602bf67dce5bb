"""Parts of the holdout on which a model must not become much worse while it gets better on the whole."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from flywheel_schemas.spec import ModelSpec
from trainer.domain.bootstrap import Gain, paired_gain
from trainer.domain.metrics import RELATIVE, Floats

MIN_ROWS = 100
_ERROR_RATE = 0.05


@dataclass(frozen=True, slots=True)
class SliceLoss:
    """What the candidate loses on one slice (in the metric; for rmse and mae as a share of the champion's).

    `surely_above` is the lower end of the loss's interval; the loss itself where nobody needed the interval.
    """

    name: str
    loss: float
    surely_above: float
    rows: int


def worst_slice(
    spec: ModelSpec, rows: pl.DataFrame, *, targets: Floats, champion: Floats, candidate: Floats, weights: Floats
) -> SliceLoss | None:
    """The slice with the largest loss; None where no slice has MIN_ROWS rows on which the metric is defined.

    Slices that lose more than `max_slice_loss` come first, by the loss that is beyond doubt: a one-sided interval at
    5 % over all slices together (Bonferroni), since among many small slices one always looks bad by chance.
    """
    masks = [(name, mask) for name, mask in _slices(spec, rows) if int(mask.sum()) >= MIN_ROWS]

    def compare(name: str, mask: np.ndarray, confidence: float) -> SliceLoss | None:
        answers = targets[mask], champion[mask], candidate[mask], weights[mask]
        seen = paired_gain(spec.gate_metric, *answers, confidence=confidence)
        return _loss(name, spec.gate_metric, seen) if seen.is_defined else None

    points = [(loss, mask) for name, mask in masks if (loss := compare(name, mask, 0.0))]
    bad = [(loss.name, mask) for loss, mask in points if loss.loss > spec.gates.max_slice_loss]
    confidence = 1.0 - 2.0 * _ERROR_RATE / max(len(masks), 1)
    judged = [loss for name, mask in bad if (loss := compare(name, mask, confidence))]
    if judged:
        return max(judged, key=lambda each: each.surely_above)
    return max((loss for loss, _ in points), key=lambda each: each.loss, default=None)


def _loss(name: str, metric: str, seen: Gain) -> SliceLoss:
    unit = abs(seen.champion) if metric in RELATIVE and seen.champion else 1.0
    return SliceLoss(name, -seen.value / unit, -seen.high / unit, seen.rows)


def _slices(spec: ModelSpec, rows: pl.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Each value of each category; the low, middle and high third of each number."""
    for feature in spec.features:
        column = rows[feature.name]
        if feature.type == "category":
            for value in feature.values or ():
                yield f"{feature.name}={value}", (column == value).fill_null(value=False).to_numpy()
            continue
        if feature.type == "timestamp":
            continue
        numbers = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        if not np.isfinite(numbers).any():
            continue
        low, high = np.nanquantile(numbers, [1 / 3, 2 / 3])
        yield f"{feature.name}<={low:g}", numbers <= low
        yield f"{low:g}<{feature.name}<={high:g}", (numbers > low) & (numbers <= high)
        yield f"{feature.name}>{high:g}", numbers > high
