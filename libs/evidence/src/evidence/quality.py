"""How good a model is on everything it answered, estimated from its audited answers.

Each estimate is post-stratified by predicted class (Cochran, Sampling Techniques, 1977, 5A.9): classes of which
few were answered count by their predictions, not by their answers. Intervals are Wilson's (1927) on the effective
number of answers (Korn and Graubard 1998; compared by Franco, Little, Louis and Slud 2019).

With an `Aid` each class is a regression estimate (Cochran 1977, ch. 7; Särndal, Swensson and Wretman, Model Assisted
Survey Sampling, 1992): what the audited answers say, moved by how much their doubts differ from everybody's. That is
doubly robust (Robins, Rotnitzky and Zhao 1994): right when answering does not depend on the doubt, and right when
errors follow it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from evidence.cells import Bools, Codes, Floats, encode, ordered_counts

CONFIDENCE = 0.95
MIN_FOR_SLOPE = 20


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
class Aid:
    """What is known of every prediction beforehand, such as 1 - the probability of what was answered.

    `rows` has a number per row; `means` its mean over all predictions of each predicted class.
    """

    rows: Floats
    means: Mapping[Any, float]


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
    aid: Aid | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Share of all predictions that were wrong. Arrays and counts as for `weights.audited_weights`.

    Volunteered rows are passed over: their share of wrong answers is people's choice, not the model's doing.
    """
    if not audited.any():
        return UNKNOWN
    return _Strata.of(predicted != label, predicted, audited, prediction_counts, aid).estimate(confidence)


def quality(
    predicted: NDArray[np.generic],
    label: NDArray[np.generic],
    audited: Bools,
    prediction_counts: Mapping[Any, float],
    positive: Any,
    *,
    aid: Aid | None = None,
    confidence: float = CONFIDENCE,
) -> Quality:
    """Error rate, accuracy, and precision and recall of the class `positive`."""
    wrong = error_rate(predicted, label, audited, prediction_counts, aid=aid, confidence=confidence)
    is_positive = label == positive
    precision = recall = UNKNOWN
    if (audited & (predicted == positive)).any():
        strata = _Strata.of(is_positive, predicted, audited, prediction_counts, aid)
        precision = strata.only(positive).estimate(confidence)
    if (audited & is_positive).any():
        strata = _Strata.of(is_positive, predicted, audited, prediction_counts, aid)
        recall = strata.part_in(positive, int((audited & is_positive).sum()), confidence)
    return Quality(wrong, _complement(wrong), precision, recall)


def _complement(estimate: Estimate) -> Estimate:
    return Estimate(1.0 - estimate.value, 1.0 - estimate.high, 1.0 - estimate.low, estimate.audits)


@dataclass(frozen=True, slots=True)
class _Strata:
    """Per predicted class: its share of the predictions, its audited answers, and the share of them that holds.

    A class with predictions and no audited answer takes the share of all audited answers together, as if
    from one answer, which keeps the interval wide. `left` is the part of each variance that an aid leaves, or adds.
    """

    keys: tuple[Any, ...]
    weight: Floats
    asked: Floats
    share: Floats
    left: Floats | float = 1.0

    @classmethod
    def of(
        cls,
        holds: Bools,
        predicted: NDArray[np.generic],
        audited: Bools,
        counts: Mapping[Any, float],
        aid: Aid | None = None,
    ) -> Self:
        """The strata of the audited among the rows."""
        keys, predictions = ordered_counts(counts, predicted)
        codes = encode(keys, predicted)[audited]
        asked = np.bincount(codes, minlength=len(keys)).astype(np.float64)
        held = np.bincount(codes, weights=holds[audited], minlength=len(keys))
        share = np.where(asked > 0, held / np.maximum(asked, 1.0), held.sum() / asked.sum())
        weight = predictions / predictions.sum()
        if aid is None:
            return cls(tuple(keys), weight, asked, share)
        means = np.array([aid.means.get(key, np.nan) for key in keys])
        moved, left = _assisted(share, codes, holds[audited].astype(np.float64), aid.rows[audited], means)
        return cls(tuple(keys), weight, asked, moved, left)

    def only(self, key: Any) -> Self:
        """The one stratum `key`, as if it were everything."""
        at = [self.keys.index(key)]
        return type(self)(
            (key,), np.ones(1), self.asked[at], self.share[at], np.broadcast_to(self.left, self.share.shape)[at]
        )

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
        return drawn * (1.0 - drawn) / n * self.left


def _assisted(share: Floats, codes: Codes, held: Floats, known: Floats, means: Floats) -> tuple[Floats, Floats | float]:
    """Shares moved to everybody's mean of what is known, by one slope within the strata; the part of the variance
    that is left, with what the slope's own uncertainty adds the further it has to reach (Cochran 1977, 7.4).

    Without twenty answers, or where nothing varies, the shares stay as they are.
    """
    strata, usable = len(share), bool(np.isfinite(known).all())
    asked = np.maximum(np.bincount(codes, minlength=strata), 1.0)
    heard = np.bincount(codes, weights=known, minlength=strata) / asked
    around, off = known - heard[codes], held - share[codes]
    spread, freedom = float((around**2).sum()), len(held) - strata - 1
    if not usable or len(held) < MIN_FOR_SLOPE or freedom < 1 or spread <= 0.0:
        return share, 1.0
    slope = float((around * off).sum()) / spread
    apart = np.where(np.isfinite(means) & (np.bincount(codes, minlength=strata) > 0), means - heard, 0.0)
    total = float((off**2).sum())
    left = (1.0 - slope**2 * spread / total if total > 0.0 else 1.0) * len(held) / freedom
    return np.clip(share + slope * apart, 0.0, 1.0), left * (1.0 + asked * apart**2 / spread)


def _wilson(value: float, variance: float, audits: int, confidence: float) -> Estimate:
    """Wilson's score interval, on the number of simple random answers that would have this `variance`.

    Without variance it is certain: where every answer is of one class, so is every row of that class.
    """
    if variance <= 0.0:
        return Estimate(value, value, value, audits)
    drawn = (value * audits + 0.5) / (audits + 1.0)
    effective = drawn * (1.0 - drawn) / variance
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2.0) ** 2
    centre = (value + z2 / (2.0 * effective)) / (1.0 + z2 / effective)
    spread = np.sqrt(z2 * (value * (1.0 - value) / effective + z2 / (4.0 * effective**2))) / (1.0 + z2 / effective)
    return Estimate(value, max(0.0, float(centre - spread)), min(1.0, float(centre + spread)), audits)
