"""Means with intervals: how far a regression is off, and how satisfied people are."""

from statistics import NormalDist

import numpy as np

from evidence.cells import Bools, Floats
from evidence.quality import CONFIDENCE, UNKNOWN, Estimate

STRATA = 3


def mean(values: Floats, *, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of `values` with Student's interval; of a single value nothing is known but itself."""
    return _estimate(np.ones(1), [values], confidence)


def mean_absolute_error(
    predicted: Floats, label: Floats, audited: Bools, all_predicted: Floats, *, confidence: float = CONFIDENCE
) -> Estimate:
    """Of all predictions of a regression, from its audited answers, post-stratified by thirds of the prediction.

    Cochran, Sampling Techniques, 1977, 5A.9, as for classes; a third that nobody answered counts with the others.
    """
    if not audited.any():
        return UNKNOWN
    thirds = np.quantile(all_predicted, np.arange(1, STRATA) / STRATA)
    everything = np.bincount(np.searchsorted(thirds, all_predicted), minlength=STRATA)
    heard = np.searchsorted(thirds, predicted[audited])
    off = np.abs(predicted - label)[audited]
    parts = [off[heard == stratum] for stratum in range(STRATA)]
    # The variance of a stratum needs two answers; with fewer anywhere the strata are taken together.
    if any(len(part) < 2 and count for part, count in zip(parts, everything, strict=True)):
        return _estimate(np.ones(1), [off], confidence)
    return _estimate(everything / everything.sum(), parts, confidence)


def _estimate(shares: Floats, parts: list[Floats], confidence: float) -> Estimate:
    n = sum(len(part) for part in parts)
    if not n:
        return UNKNOWN
    used = [(share, part) for share, part in zip(shares, parts, strict=True) if share > 0]
    value = float(sum(share * part.mean() for share, part in used))
    if n == 1:
        return Estimate(value, float("-inf"), float("inf"), 1)
    variance = sum(share**2 * part.var(ddof=1) / len(part) for share, part in used)
    spread = _student(confidence, n - len(used)) * float(np.sqrt(variance))
    return Estimate(value, value - spread, value + spread, n)


def _student(confidence: float, freedom: int) -> float:
    """Student's two-sided quantile by its expansion in 1/freedom (Abramowitz and Stegun 26.7.5)."""
    z, v = NormalDist().inv_cdf(0.5 + confidence / 2.0), float(max(freedom, 1))
    first, second = (z**3 + z) / 4.0, (5 * z**5 + 16 * z**3 + 3 * z) / 96.0
    return z + first / v + second / v**2
