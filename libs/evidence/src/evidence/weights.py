"""Weights that make volunteered feedback stand for all predictions.

Post-stratification with estimated cell shares: the inverse-propensity weight of Horvitz and Thompson (1952),
where the propensity of a cell is (labelled rows) / (estimated predictions) and audited answers estimate the latter.
Within a cell, whether a row was labelled is taken to depend on nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence.cells import PRIOR_AUDITS, Bools, Counted, Floats, encode, ordered_counts, outcome_shares

DEFAULT_CAP = 50.0
ERROR_BINS = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: what was answered (`stratum`), how it turned out, and what each of its rows stands for."""

    stratum: str
    outcome: str
    predictions: float
    labelled: int
    audited: int
    weight: float


@dataclass(frozen=True, slots=True)
class Weights:
    """`values`: one weight per row, in predictions it stands for. `audits`: audited answers behind them.

    With no audits every weight is 1 and `note` says so: the rows are then as biased as people's choice.
    """

    values: Floats
    audits: int
    cells: tuple[Cell, ...]
    note: str


def audited_weights(
    predicted: NDArray[np.generic],
    label: NDArray[np.generic],
    audited: Bools,
    prediction_counts: Mapping[Any, float],
    *,
    cap: float = DEFAULT_CAP,
    prior_audits: float = PRIOR_AUDITS,
    strata: NDArray[np.generic] | None = None,
) -> Weights:
    """Weights for labelled rows of a classifier; cells are predicted class by right or wrong.

    The arrays hold one row per labelled prediction. `prediction_counts` counts all predictions of the rows' own
    time span by predicted class, or by `strata` where those are given (such as class and month, as one code).
    No weight exceeds `cap`. Raises ValueError for a row whose stratum has no predictions.
    """
    groups = predicted if strata is None else strata
    keys, predictions = ordered_counts(prediction_counts, groups)
    counted = Counted(encode(keys, groups), (predicted != label).astype(np.intp), audited, predictions, outcomes=2)
    return _weigh(counted, [str(key) for key in keys], ["right", "wrong"], cap, prior_audits)


def audited_weights_regression(
    predicted: Floats,
    label: Floats,
    audited: Bools,
    all_predicted: Floats,
    *,
    cap: float = DEFAULT_CAP,
    prior_audits: float = PRIOR_AUDITS,
) -> Weights:
    """Weights for labelled rows of a regression; cells are thirds of the prediction by eighths of the absolute error.

    People answer more readily the further off they find a number, so the size of the error takes the place of
    right or wrong. The eighths are those of the audited errors; `all_predicted` holds every prediction of the
    rows' own time span and gives the thirds and their counts.
    """
    thirds = np.quantile(all_predicted, [1 / 3, 2 / 3]) if len(all_predicted) else np.zeros(2)
    stratum = np.searchsorted(thirds, predicted, side="left")
    error = np.abs(predicted - label)
    edges = np.arange(1, ERROR_BINS) / ERROR_BINS
    eighths = np.quantile(error[audited], edges) if audited.any() else np.zeros(ERROR_BINS - 1)
    outcome = np.searchsorted(eighths, error, side="left")
    counts = np.bincount(np.searchsorted(thirds, all_predicted, side="left"), minlength=3).astype(np.float64)
    counted = Counted(stratum, outcome, audited, counts, outcomes=ERROR_BINS)
    errors = [f"error bin {place + 1}" for place in range(ERROR_BINS)]
    return _weigh(counted, ["low", "middle", "high"], errors, cap, prior_audits)


def _weigh(counted: Counted, strata: list[str], outcomes: list[str], cap: float, prior_audits: float) -> Weights:
    rows = len(counted.stratum)
    audits = int(counted.audited.sum())
    if not audits:
        return Weights(
            np.ones(rows), 0, (), "nothing is audited yet: every row weighs 1, whatever led people to answer"
        )
    labelled, audited = counted.labelled, counted.audits
    share = outcome_shares(audited, counted.predictions, prior_audits)
    estimated = share * counted.predictions[:, None]
    per_row = np.minimum(estimated / np.maximum(labelled, 1.0), cap)
    cells = tuple(
        Cell(stratum, outcome, float(estimated[s, o]), int(labelled[s, o]), int(audited[s, o]), float(per_row[s, o]))
        for s, stratum in enumerate(strata)
        for o, outcome in enumerate(outcomes)
    )
    return Weights(per_row[counted.stratum, counted.outcome], audits, cells, _note(cells, audits, cap))


def _note(cells: tuple[Cell, ...], audits: int, cap: float) -> str:
    note = f"{audits} audited answers over {len(cells)} cells"
    capped = sum(cell.labelled for cell in cells if cell.labelled and cell.weight >= cap)
    silent = [f"{cell.stratum} {cell.outcome}" for cell in cells if not cell.labelled]
    if capped:
        note += f"; {capped} rows held at the cap of {cap:g}"
    if silent:
        note += f"; nothing labelled in: {', '.join(silent)}"
    return note
