"""How sure a gain is: the paired bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13)."""

from dataclasses import dataclass

import numpy as np

from trainer.domain.metrics import Floats, auc_sorted, gain, measure, per_row, tie_starts

SEED = 1993
_ROWS_DRAWN = 4_000_000


@dataclass(frozen=True, slots=True)
class Gain:
    """Champion and candidate on the same rows. NaN where the metric is not defined on them.

    `doubt` is the share of resamples without a gain: how likely a candidate that is no better shows as much.
    """

    champion: float
    candidate: float
    value: float
    low: float
    high: float
    rows: int
    confidence: float
    doubt: float

    @property
    def is_defined(self) -> bool:
        """Whether the metric could be computed."""
        return bool(np.isfinite(self.value))


def paired_gain(
    metric: str, targets: Floats, champion: Floats, candidate: Floats, weights: Floats, *, confidence: float
) -> Gain:
    """The candidate's gain with its percentile interval at `confidence`; each resample draws the same rows for both.

    At confidence 0 the interval is the point. Rows are drawn by Poisson(1) counts, which is the ordinary
    resample for many rows and keeps their order, so that nothing is sorted anew.
    """
    before, after = measure(metric, targets, champion, weights), measure(metric, targets, candidate, weights)
    value = gain(metric, before, after)
    if confidence <= 0.0 or not np.isfinite(value):
        return Gain(before, after, value, value, value, len(targets), confidence, float("nan"))
    draws = _draws(metric, targets, champion, candidate, weights)
    tail = (1.0 - confidence) / 2.0
    low, high = np.nanquantile(draws, [tail, 1.0 - tail])
    doubt = float(np.mean(draws < 0.0))
    return Gain(before, after, value, float(low), float(high), len(targets), confidence, doubt)


def _draws(metric: str, targets: Floats, champion: Floats, candidate: Floats, weights: Floats) -> Floats:
    random = np.random.default_rng(SEED)
    resamples = int(np.clip(_ROWS_DRAWN / len(targets), 200, 1000))
    old, new = _Resampled(metric, targets, champion, weights), _Resampled(metric, targets, candidate, weights)
    found = np.empty(resamples)
    for draw in range(resamples):
        counts = random.poisson(1.0, len(targets)).astype(np.float64)
        found[draw] = gain(metric, old.measure(counts), new.measure(counts))
    return found


class _Resampled:
    """One model's metric under changing counts of the same rows; what does not change is computed once."""

    def __init__(self, metric: str, targets: Floats, outputs: Floats, weights: Floats) -> None:
        self._metric = metric
        if metric == "auc":
            self._order = np.argsort(outputs, kind="stable")
            self._starts = tie_starts(outputs[self._order])
            self._targets, self._weights = targets[self._order], weights[self._order]
        else:
            self._each, self._weights = per_row(metric, targets, outputs), weights

    def measure(self, counts: Floats) -> float:
        if self._metric == "auc":
            return auc_sorted(self._targets, self._starts, self._weights * counts[self._order])
        weights = self._weights * counts
        mean = float((weights * self._each).sum() / weights.sum()) if weights.sum() > 0.0 else float("nan")
        return float(np.sqrt(mean)) if self._metric == "rmse" else mean
