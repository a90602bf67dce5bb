"""Cells: predictions grouped by what was answered and by how that turned out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Codes = NDArray[np.intp]
Floats = NDArray[np.float64]

PRIOR_AUDITS = 4.0
"""How many audited answers the outcome of all strata together counts for in each single stratum."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Labelled rows by stratum and outcome; `shape` is (strata, outcomes).

    `stratum` and `outcome` are codes per row, `predictions` counts all predictions of each stratum.
    """

    stratum: Codes
    outcome: Codes
    audited: Bools
    predictions: Floats
    outcomes: int

    @property
    def labelled(self) -> Floats:
        """Labelled rows per cell."""
        return self._count(np.ones(len(self.stratum)))

    @property
    def audits(self) -> Floats:
        """Audited rows per cell."""
        return self._count(self.audited.astype(np.float64))

    def _count(self, each: Floats) -> Floats:
        shape = (len(self.predictions), self.outcomes)
        flat = self.stratum * self.outcomes + self.outcome
        cells: Floats = np.bincount(flat, weights=each, minlength=shape[0] * shape[1]).astype(np.float64)
        return cells.reshape(shape)


def encode(keys: Sequence[Any], values: NDArray[np.generic]) -> Codes:
    """The place of each of `values` in `keys`; -1 for a value that is none of them."""
    codes = np.full(len(values), -1, dtype=np.intp)
    for code, key in enumerate(keys):
        codes[values == key] = code
    return codes


def ordered_counts(counts: Mapping[Any, float], values: NDArray[np.generic]) -> tuple[list[Any], Floats]:
    """Strata in a fixed order and their prediction counts, for all of `counts` that hold predictions.

    Raises ValueError for a row whose stratum no prediction was counted in: rows and counts then
    come from different time spans.
    """
    keys = sorted((key for key, count in counts.items() if count > 0), key=str)
    missing = set(np.unique(values).tolist()) - set(keys)
    if missing:
        names = ", ".join(sorted(map(str, missing)))
        raise ValueError(f"rows answered {names}, but no such prediction was counted; count the rows' own time span")
    return keys, np.array([counts[key] for key in keys], dtype=np.float64)


def outcome_shares(audits: Floats, predictions: Floats, prior_audits: float = PRIOR_AUDITS) -> Floats:
    """Share of each outcome within each stratum, shape (strata, outcomes), rows sum to 1.

    Posterior mean of a Dirichlet whose prior is the outcome of all strata together, weighed by their
    predictions and worth `prior_audits` answers (Gelman et al., Bayesian Data Analysis, ch. 5), so that a stratum
    with few audits leans on the others. Jeffreys' half an answer per outcome keeps each share above zero.
    """
    jeffreys = audits + 0.5
    each = jeffreys / jeffreys.sum(axis=1, keepdims=True)
    heard = predictions * audits.sum(axis=1)
    pooled = (each * heard[:, None]).sum(axis=0) / heard.sum() if heard.sum() else each.mean(axis=0)
    posterior = audits + max(prior_audits, 1e-9) * pooled
    shares: Floats = posterior / posterior.sum(axis=1, keepdims=True)
    return shares
