"""How good a model is on everything it answered, estimated from its audited answers.

Each estimate is post-stratified by predicted class (Cochran, Sampling Techniques, 1977, 5A.9): classes of which
few were answered count by their predictions, not by their answers. Intervals are Wilson's (1927) on the effective
number of answers (Korn and Graubard 1998; compared by Franco, Little, Louis and Slud 2019).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from evidence.cells import Bools, Floats, encode, ordered_counts

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share and its interval. With no audits, value is NaN, the interval is [0, 1], and nothing may be decided."""

    value: float
    low: float
    high: float
    audits: int

    @property
    def is_informed(self) -> bool:
        """Whether any audited answer stands behind it."""
        return self.audits > 0


@dataclass(frozen=True, slots=True)
class Quality:
    """Live quality of one model version; precision and recall are those of one class."""

    error_rate: Estimate
    accuracy: Estimate
    precision: Estimate
    recall: Estimate


UNKNOWN = Estimate(float("nan"), 0.0, 1.0, 0)


def error_rate(
    predicted: NDArray[np.generic],
    label: NDArray[np.generic],
    audited: Bools,
    prediction_counts: Mapping[Any, float],
    *,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Share of all predictions that were wrong. Arrays and counts as for `weights.audited_weights`.

    Volunteered rows are passed over: their share of wrong answers is people's choice, not the model's doing.
    """
    if not audited.any():
        return UNKNOWN
    strata = _Strata.of(predicted != label, predicted, audited, prediction_counts)
    return strata.estimate(confidence)


def quality(
    predicted: NDArray[np.generic],
    label: NDArray[np.generic],
    audited: Bools,
    prediction_counts: Mapping[Any, float],
    positive: Any,
    *,
    confidence: float = CONFIDENCE,
) -> Quality:
    """Error rate, accuracy, and precision and recall of the class `positive`."""
    wrong = error_rate(predicted, label, audited, prediction_counts, confidence=confidence)
    is_positive = label == positive
    precision = recall = UNKNOWN
    if (audited & (predicted == positive)).any():
        precision = _Strata.of(is_positive, predicted, audited, prediction_counts).only(positive).estimate(confidence)
    if (audited & is_positive).any():
        strata = _Strata.of(is_positive, predicted, audited, prediction_counts)
        recall = strata.part_in(positive, int((audited & is_positive).sum()), confidence)
    return Quality(wrong, _complement(wrong), precision, recall)


def _complement(estimate: Estimate) -> Estimate:
    return Estimate(1.0 - estimate.value, 1.0 - estimate.high, 1.0 - estimate.low, estimate.audits)


@dataclass(frozen=True, slots=True)
class _Strata:
    """Per predicted class: its share of the predictions, its audited answers, and the share of them that holds.

    A class with predictions and no audited answer takes the share of all audited answers together, as if
    from one answer, which keeps the interval wide.
    """

    keys: tuple[Any, ...]
    weight: Floats
    asked: Floats
    share: Floats

    @classmethod
    def of(cls, holds: Bools, predicted: NDArray[np.generic], audited: Bools, counts: Mapping[Any, float]) -> Self:
        """The strata of the audited among the rows."""
        keys, predictions = ordered_counts(counts, predicted)
        codes = encode(keys, predicted)[audited]
        asked = np.bincount(codes, minlength=len(keys)).astype(np.float64)
        held = np.bincount(codes, weights=holds[audited], minlength=len(keys))
        share = np.where(asked > 0, held / np.maximum(asked, 1.0), held.sum() / asked.sum())
        return cls(tuple(keys), predictions / predictions.sum(), asked, share)

    def only(self, key: Any) -> Self:
        """The one stratum `key`, as if it were everything."""
        at = [self.keys.index(key)]
        return type(self)((key,), np.ones(1), self.asked[at], self.share[at])

    def estimate(self, confidence: float) -> Estimate:
        """Share of all predictions for which it holds."""
        value = float((self.weight * self.share).sum())
        variance = float((self.weight**2 * self._variance()).sum())
        return _wilson(value, variance, int(self.asked.sum()), confidence)

    def part_in(self, key: Any, audits: int, confidence: float) -> Estimate:
        """Of all predictions for which it holds, the share that lies in stratum `key`.

        A ratio X / Y of two estimates; its variance is that of (x - R y) / Y (linearisation, Woodruff 1971).
        """
        within = np.array([each == key for each in self.keys], dtype=np.float64)
        everything = float((self.weight * self.share).sum())
        value = float((self.weight * self.share * within).sum()) / everything
        variance = float((self.weight**2 * (within - value) ** 2 * self._variance()).sum()) / everything**2
        return _wilson(value, variance, audits, confidence)

    def _variance(self) -> Floats:
        """Of each share, taken half an answer away from 0 and 1 (Jeffreys), so that it is never zero."""
        n = np.maximum(self.asked, 1.0)
        drawn: Floats = (self.share * n + 0.5) / (n + 1.0)
        return drawn * (1.0 - drawn) / n


def _wilson(value: float, variance: float, audits: int, confidence: float) -> Estimate:
    """Wilson's score interval, on the number of simple random answers that would have this `variance`."""
    drawn = (value * audits + 0.5) / (audits + 1.0)
    effective = drawn * (1.0 - drawn) / variance
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2.0) ** 2
    centre = (value + z2 / (2.0 * effective)) / (1.0 + z2 / effective)
    spread = np.sqrt(z2 * (value * (1.0 - value) / effective + z2 / (4.0 * effective**2))) / (1.0 + z2 / effective)
    return Estimate(value, max(0.0, float(centre - spread)), min(1.0, float(centre + spread)), audits)
