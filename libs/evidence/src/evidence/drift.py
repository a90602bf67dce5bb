"""How far values have moved from those that a model was trained on: the population stability index.

PSI = sum over bins of (now - then) ln(now / then), the symmetrised Kullback-Leibler divergence (Jeffreys 1946); as an
index of stability after Siddiqi, Credit Risk Scorecards (2006), who calls 0.1 a change and 0.25 a large one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

from evidence.cells import Floats

BINS = 10
RARE = 0.01
SURE = 0.99
OTHER, MISSING = "other", "missing"


@dataclass(frozen=True, slots=True)
class Drift:
    """`psi` of `rows` values; `noise` is what chance alone exceeds once in a hundred. Shares then and now per bin.

    `labels` name the bins: a category, a range, `other` (rare or unknown categories) or `missing`.
    """

    psi: float
    noise: float
    rows: int
    labels: tuple[str, ...]
    then: tuple[float, ...]
    now: tuple[float, ...]

    @property
    def surely_above(self) -> float:
        """What is left of `psi` beyond chance; never below 0."""
        return max(self.psi - self.noise, 0.0)


@dataclass(frozen=True, slots=True)
class Reference:
    """Values as they were: counts per bin. `edges` part numbers (right ends, last bin open), `known` names categories.

    The last bin is always that of missing values.
    """

    labels: tuple[str, ...]
    counts: Floats
    edges: Floats | None = None
    known: tuple[str, ...] = ()

    @classmethod
    def of_numbers(cls, values: Floats, weights: Floats, bins: int = BINS) -> Self:
        """Bins by quantiles of the weighted `values`; NaN is missing."""
        there = np.isfinite(values)
        edges = _quantiles(values[there], weights[there], np.arange(1, bins) / bins)
        ends = [f"{edge:.4g}" for edge in edges]
        inner = [f"{low} to {high}" for low, high in pairwise(ends)]
        labels = (f"up to {ends[0]}", *inner, f"above {ends[-1]}") if ends else ("any",)
        codes = np.where(there, np.searchsorted(edges, values, side="left"), len(labels))
        return cls((*labels, MISSING), _counts(codes, len(labels) + 1, weights), edges)

    @classmethod
    def of_categories(cls, values: Sequence[str | None], weights: Floats) -> Self:
        """A bin for each value that has at least RARE of the weight; the rest is `other`."""
        names = np.array(["" if value is None else value for value in values], dtype=object)
        there = np.array([value is not None for value in values], dtype=bool)
        found, places = np.unique(names[there], return_inverse=True)
        each = np.bincount(places, weights=weights[there], minlength=len(found))
        known = tuple(str(name) for name, weight in zip(found, each, strict=True) if weight >= RARE * weights.sum())
        reference = cls((*known, OTHER, MISSING), np.zeros(len(known) + 2), known=known)
        return cls(reference.labels, _counts(reference._codes(values), len(known) + 2, weights), known=known)

    def compare(self, values: Floats | Sequence[str | None]) -> Drift:
        """The drift from these to `values`.

        Half a row is added to each bin, so that an empty one has a logarithm. Under no drift PSI is distributed like
        (1/n + 1/m) chi-square with bins - 1 degrees of freedom (Yurdakul and Naranjo 2020).
        """
        codes = self._codes(values)
        now = _counts(codes, len(self.labels), np.ones(len(codes)))
        used = (self.counts > 0) | (now > 0)
        before, after = self.counts[used] + 0.5, now[used] + 0.5
        then, recent = before / before.sum(), after / after.sum()
        psi = float(((recent - then) * np.log(recent / then)).sum())
        rows = len(codes)
        noise = (1.0 / max(self.counts.sum(), 1.0) + 1.0 / max(rows, 1)) * _chi_square(int(used.sum()) - 1, SURE)
        labels = tuple(label for label, is_used in zip(self.labels, used, strict=True) if is_used)
        return Drift(psi, noise, rows, labels, tuple(then.tolist()), tuple(recent.tolist()))

    def _codes(self, values: Floats | Sequence[str | None]) -> NDArray[np.intp]:
        if self.edges is not None:
            numbers = np.asarray(values, dtype=np.float64)
            missing = len(self.labels) - 1
            return np.where(np.isfinite(numbers), np.searchsorted(self.edges, numbers, side="left"), missing)
        places: dict[str | None, int] = {name: place for place, name in enumerate(self.known)}
        places[None] = len(self.known) + 1
        return np.array([places.get(value, len(self.known)) for value in values], dtype=np.intp)


def _counts(codes: NDArray[np.intp], bins: int, weights: Floats) -> Floats:
    """Weight per bin, scaled to the number of equal rows that would say as much (Kish 1965)."""
    each = np.bincount(codes, weights=weights, minlength=bins).astype(np.float64)
    total, squares = float(weights.sum()), float((weights**2).sum())
    return each * (total / squares) if squares > 0.0 else each


def _quantiles(values: Floats, weights: Floats, at: Floats) -> Floats:
    """Distinct weighted quantiles that leave something on both sides."""
    if not len(values):
        return np.zeros(0)
    order = np.argsort(values, kind="stable")
    cumulated = np.cumsum(weights[order]) / weights.sum()
    found = np.unique(values[order][np.minimum(np.searchsorted(cumulated, at), len(values) - 1)])
    return np.asarray(found[found < values.max()], dtype=np.float64)


def _chi_square(freedom: int, confidence: float) -> float:
    """A quantile of the chi-square distribution (Wilson and Hilferty 1931)."""
    if freedom < 1:
        return 0.0
    spread = 2.0 / (9.0 * freedom)
    root: float = max(1.0 - spread + NormalDist().inv_cdf(confidence) * spread**0.5, 0.0)
    return freedom * root * root * root
