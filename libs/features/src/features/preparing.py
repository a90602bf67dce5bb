"""How one feature's raw value becomes the numbers that a model sees: by the row, and by the column, to the same bit."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from features.columns import Column, category_numbers, number_numbers, texts
from flywheel_schemas.spec import FeatureSpec

# Parts of a moment that is given in UTC. Monday is 1, as ISO 8601 counts.
_PARTS: dict[str, Callable[[datetime], int]] = {
    "hour": lambda moment: moment.hour,
    "weekday": lambda moment: moment.isoweekday(),
    "day": lambda moment: moment.day,
    "month": lambda moment: moment.month,
    "day_of_year": lambda moment: moment.timetuple().tm_yday,
}


class Codes(dict[Any, float]):
    """Category to code, where one that is not in the spec counts as missing."""

    def __missing__(self, key: Any) -> float:
        return math.nan


def codes(feature: FeatureSpec) -> dict[Any, float]:
    """The position of each category in the spec's `values`; NaN for None, and for the unseen where they may come."""
    known = {None: math.nan} | {value: float(code) for code, value in enumerate(feature.values or ())}
    return Codes(known) if feature.unseen == "missing" else known


def moment_of(text: str | None) -> datetime | None:
    """The moment in UTC that RFC 3339 `text` names; None for none, and for a day that does not exist."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class Preparation:
    """One feature: raw value in, one number for each of `feature.columns` out. NaN is what is missing."""

    def __init__(self, feature: FeatureSpec) -> None:
        self.feature = feature
        self.width = len(feature.columns)
        self.codes = codes(feature) if feature.type == "category" else None
        self._parts = [_PARTS[part] for part in feature.derive or ()]
        self._missing = math.nan if feature.missing is None else feature.missing
        self._low, self._high = feature.clip or (-math.inf, math.inf)

    @property
    def is_plain(self) -> bool:
        """Whether the number is the value itself, or the category's code."""
        return not self._parts and self.feature.clip is None and self.feature.missing is None

    def one(self, value: Any) -> list[float]:
        """The numbers of one value, as decoded from an instance."""
        if self._parts:
            return self._derived(value)
        if self.codes is not None:
            return [self.codes[value]]
        number = self._missing if value is None else value
        # Comparisons that keep NaN, and the sign of a zero, as `column` does.
        return [self._low if number < self._low else self._high if number > self._high else number]

    def column(self, values: Column) -> np.ndarray:
        """The numbers of many values as float64 of shape (rows, columns)."""
        if self._parts:
            return self._derived_column(texts(values))
        if self.codes is not None:
            return category_numbers(values, self.codes)[:, None]
        numbers = number_numbers(values)
        if self.feature.missing is not None:
            numbers = np.where(np.isnan(numbers), self._missing, numbers)
        if self.feature.clip is not None:
            numbers = np.where(numbers < self._low, self._low, np.where(numbers > self._high, self._high, numbers))
        return numbers[:, None]

    def _derived(self, text: str | None) -> list[float]:
        moment = moment_of(text)
        return [math.nan if moment is None else float(part(moment)) for part in self._parts]

    def _derived_column(self, found: Sequence[str | None]) -> np.ndarray:
        return np.array([self._derived(text) for text in found], dtype=np.float64).reshape(len(found), self.width)
