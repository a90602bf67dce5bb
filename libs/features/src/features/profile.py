"""What each numeric feature looks like in the base dataset, and how far a value lies outside of it.

The fences are Tukey's (Exploratory Data Analysis, 1977) with the 0.1 % and 99.9 % quantiles in place of the quartiles,
so that skewed features and those that are mostly one value (rain, delays) have fences too: a value is suspicious when
it lies farther beyond a quantile than the distance between the two.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from flywheel_schemas.spec import ModelSpec

LOW, HIGH = 0.001, 0.999
_FEWEST = 100


def numbers(rows: pl.DataFrame, spec: ModelSpec) -> dict[str, np.ndarray]:
    """The numeric features of `rows` as float columns, NaN for what is missing."""
    names = [feature.name for feature in spec.features if feature.type == "number"]
    return {name: rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in names}


@dataclass(frozen=True, slots=True)
class Fence:
    """The quantiles LOW and HIGH of one feature."""

    low: float
    high: float

    def scores(self, values: np.ndarray) -> np.ndarray:
        """How far each value lies beyond the quantiles, in distances between them; 0 within, and for NaN.

        Above 1 it is suspicious.
        """
        beyond = np.maximum(self.low - values, values - self.high) / (self.high - self.low)
        return np.nan_to_num(np.maximum(beyond, 0.0), nan=0.0)


@dataclass(frozen=True, slots=True)
class Profile:
    """A fence for each numeric feature that varies in the base dataset."""

    fences: Mapping[str, Fence]

    @classmethod
    def of(cls, columns: Mapping[str, np.ndarray], spec: ModelSpec) -> "Profile":
        """The profile of base rows, given as `numbers` makes them.

        A feature with fewer than 100 values, or whose quantiles coincide, has no fence: it tells nothing.
        """
        fences = {}
        for feature in spec.features:
            if feature.type != "number":
                continue
            values = columns[feature.name]
            values = values[np.isfinite(values)]
            if len(values) < _FEWEST:
                continue
            low, high = (float(one) for one in np.quantile(values, (LOW, HIGH)))
            if low < high:
                fences[feature.name] = Fence(low, high)
        return cls(fences)

    def suspicious(self, columns: Mapping[str, np.ndarray]) -> dict[int, tuple[str, float]]:
        """By place the worst feature of each suspicious row, and its score."""
        found: dict[int, tuple[str, float]] = {}
        for name, fence in self.fences.items():
            values = columns.get(name)
            if values is None or not len(values):
                continue
            reach = fence.high - fence.low
            # Two comparisons find the few that need a score.
            for at in np.flatnonzero((values < fence.low - reach) | (values > fence.high + reach)).tolist():
                score = float(fence.scores(values[at : at + 1])[0])
                if score > found.get(at, ("", 0.0))[1]:
                    found[at] = (name, score)
        return found

    def sentence(self, feature: str, score: float, value: float) -> str:
        """Why the row is kept apart, for people."""
        fence = self.fences[feature]
        return (
            f"outlier: {feature} is {value:g}; 99.8 % of the base dataset lie in {fence.low:g} to {fence.high:g}, "
            f"and this is {score:.1f} times their width beyond"
        )

    def encode(self) -> dict[str, Any]:
        """As JSON values; `decode` reads them back."""
        return {"fences": {name: [fence.low, fence.high] for name, fence in self.fences.items()}}

    @classmethod
    def decode(cls, said: Mapping[str, Any], names: Iterable[str]) -> "Profile":
        """The profile in `said`, for those features that are still called so."""
        wanted = set(names)
        return cls({name: Fence(*ends) for name, ends in said["fences"].items() if name in wanted})
