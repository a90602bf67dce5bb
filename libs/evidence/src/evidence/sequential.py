"""Comparing two versions while their audited answers come in, as often as one likes.

A test that is looked at again and again rejects a true hypothesis in the end, unless its bound allows for it. The
bound here holds at all times at once: the normal mixture of Robbins (1970) as in Howard, Ramdas, McAuliffe and Sekhon,
Time-uniform, nonparametric, nonasymptotic confidence sequences (Annals of Statistics, 2021, eq. 14), with the variance
estimated from the answers, which makes it an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and
Ramdas, Time-uniform central limit theory and asymptotic confidence sequences, Annals of Statistics, 2024).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ALPHA = 0.05
_WORST_VARIANCE = 0.25
_BOUND_SQUARED = 9.0


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Audited answers of one kind: how many, the sum of their scores and of the squares (right is 1, wrong is 0)."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: "Outcomes") -> "Outcomes":
        return Outcomes(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """NaN of nothing."""
        return self.total / self.n if self.n else math.nan

    @property
    def variance(self) -> float:
        """Of one score, taken a little away from zero so that few equal answers prove nothing."""
        return (max(self.squares - self.total**2 / self.n, 0.0) + _WORST_VARIANCE) / self.n


@dataclass(frozen=True, slots=True)
class Arm:
    """One version's audited answers by predicted class, and how many predictions of each class it made at all.

    Where the predictions were not counted, the audited answers stand for themselves.
    """

    outcomes: Mapping[str, Outcomes] = field(default_factory=dict)
    predictions: Mapping[str, int] = field(default_factory=dict)

    @property
    def all(self) -> Outcomes:
        """Every audited answer."""
        return sum(self.outcomes.values(), Outcomes())

    def estimate(self) -> tuple[float, float]:
        """Mean score over all predictions, post-stratified by predicted class (Cochran 1977, 5A.9); its variance.

        A class without an audited answer takes the mean of the others, as if from one answer.
        """
        everything = self.all
        counts = {key: count for key, count in self.predictions.items() if count > 0}
        if not counts or set(self.outcomes) - set(counts):
            return everything.mean, everything.variance / everything.n
        whole = sum(counts.values())
        mean = variance = 0.0
        for key, count in counts.items():
            share = count / whole
            heard = self.outcomes.get(key, Outcomes())
            mean += share * (heard.mean if heard.n else everything.mean)
            variance += share**2 * (heard.variance / heard.n if heard.n else everything.variance)
        return mean, variance


@dataclass(frozen=True, slots=True)
class Stratum:
    """Both versions over the same time and at the same share of the traffic."""

    champion: Arm
    challenger: Arm


@dataclass(frozen=True, slots=True)
class Difference:
    """Challenger's score minus champion's, and bounds that hold at all times at once. NaN and ±inf: no evidence."""

    value: float
    low: float
    high: float


NOTHING = Difference(math.nan, -math.inf, math.inf)


def difference(strata: Sequence[Stratum], *, resolve: float, alpha: float = ALPHA) -> Difference:
    """The difference over all strata in which both were audited, weighed as Mantel and Haenszel do.

    Strata keep apart what was answered at different shares of the traffic, so a change of the world between two
    steps favours neither. With weights w = n1 n0 / (n1 + n0) the sum S = Σ w d has the variance V = Σ w² (v1 + v0), and
    |S - its mean| <= sqrt((V + r) log((V + r) / (r alpha²))) at all times with probability 1 - alpha. `r` is chosen
    ahead so that the bound is tightest where a difference of `resolve` can just be told.
    """
    weight = total = variance = 0.0
    for stratum in strata:
        own, theirs = stratum.challenger.all.n, stratum.champion.all.n
        if not own or not theirs:
            continue
        (own_mean, own_variance), (their_mean, their_variance) = (
            stratum.challenger.estimate(),
            stratum.champion.estimate(),
        )
        each = own * theirs / (own + theirs)
        weight += each
        total += each * (own_mean - their_mean)
        variance += each**2 * (own_variance + their_variance)
    if not weight or not math.isfinite(total):
        return NOTHING
    r = _mixture(resolve, alpha)
    bound = math.sqrt((variance + r) * math.log((variance + r) / (r * alpha**2))) / weight
    value = total / weight
    return Difference(value, value - bound, value + bound)


def _mixture(resolve: float, alpha: float) -> float:
    """The mixture's parameter: best at the variance where the bound is `resolve` (Howard et al. 2021, section 3.5)."""
    target = _WORST_VARIANCE**2 * _BOUND_SQUARED / max(resolve, 1e-6) ** 2
    return target / (2.0 * math.log(1.0 / alpha) + math.log(1.0 + 2.0 * math.log(1.0 / alpha)))
