"""What an instance of a model may hold, and the row of numbers that it becomes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from features.columns import Column, category_numbers, number_numbers
from features.rows import row_struct
from flywheel_schemas.spec import FeatureSpec, ModelSpec

_MAX_LISTED = 20
_JSON_NAMES = {str: "text", bool: "a truth value", type(None): "null", list: "a list", dict: "an object"}


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """Why one field of an instance is refused: an RFC 6901 pointer into the instance, and a sentence."""

    pointer: str
    detail: str


class FeatureSchema:
    """The features of one model spec: checks instances, decodes them, turns them into numbers.

    Numbers are float64 in the order of the spec: a number is itself, a category its position in the
    spec's `values`, and what is missing (or, in `matrix`, an unknown category) is NaN.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.features: tuple[FeatureSpec, ...] = spec.features
        self.names: tuple[str, ...] = spec.feature_names
        self.categorical_indices: tuple[int, ...] = tuple(
            position for position, feature in enumerate(spec.features) if feature.type == "category"
        )
        self.row_type: type[msgspec.Struct] = row_struct(spec)
        self._by_name = {feature.name: feature for feature in spec.features}
        self._required = frozenset(feature.name for feature in spec.features if feature.required)
        self._codes = {position: _codes(spec.features[position].values or ()) for position in self.categorical_indices}
        self._values = _values_getter(self.names)

    def violations(self, instance: object) -> list[FieldProblem]:
        """Everything wrong with `instance` (as parsed from JSON); empty exactly when `row_type` decodes it."""
        if not isinstance(instance, dict):
            return [FieldProblem("", f"an instance is an object of features, not {_type_name(instance)}")]
        problems = [problem for name, value in instance.items() if (problem := self._problem(name, value)) is not None]
        missing = (name for name in self.names if name in self._required and name not in instance)
        return problems + [FieldProblem(_pointer(name), f"{name} is required; add it") for name in missing]

    def matrix(self, columns: Mapping[str, Column]) -> np.ndarray:
        """`columns` (by feature name, of equal length) as float64 of shape (rows, features).

        An optional feature without a column is NaN throughout. Raises ValueError where a required
        feature has no column, the lengths differ, or a number's column holds no numbers.
        """
        if absent := sorted(self._required.difference(columns)):
            raise ValueError(f"columns are missing for required features: {', '.join(absent)}")
        present = [(position, name) for position, name in enumerate(self.names) if name in columns]
        if not present:
            raise ValueError("there is no column for any feature of the model")
        lengths = {len(columns[name]) for _, name in present}
        if len(lengths) != 1:
            raise ValueError(f"columns differ in length: {', '.join(str(length) for length in sorted(lengths))}")
        matrix = np.full((lengths.pop(), len(self.names)), np.nan)
        for position, name in present:
            matrix[:, position] = self._numbers(position, columns[name])
        return matrix

    def given(self, instance: msgspec.Struct) -> int:
        """How many features the decoded instance has a value for."""
        return len(self.names) - self._values(instance).count(None)

    def numbers(self, instance: msgspec.Struct) -> list[float]:
        """One decoded instance (of `row_type`) as the numbers of its row of `matrix`, bit for bit."""
        values = list(self._values(instance))
        for position, codes in self._codes.items():
            values[position] = codes[values[position]]
        return [math.nan if value is None else value for value in values] if None in values else values

    def row(self, instance: msgspec.Struct) -> np.ndarray:
        """As `numbers`, as float64 of shape (features,)."""
        return np.array(self.numbers(instance), dtype=np.float64)

    def rows(self, instances: list[msgspec.Struct]) -> np.ndarray:
        """Decoded instances as float64 of shape (instances, features); `row` for many at once."""
        matrix = np.empty((len(instances), len(self.names)))
        for position, column in enumerate(zip(*map(self._values, instances), strict=True)):
            codes = self._codes.get(position)
            matrix[:, position] = column if codes is None else [codes[value] for value in column]
        return matrix

    def _numbers(self, position: int, column: Column) -> np.ndarray:
        codes = self._codes.get(position)
        return number_numbers(column) if codes is None else category_numbers(column, codes)

    def _problem(self, name: str, value: object) -> FieldProblem | None:
        feature = self._by_name.get(name)
        if feature is None:
            detail: str | None = f"the model has no such feature; it has: {_listed(self.names)}"
        elif value is None:
            detail = f"{name} is required; null is not a value" if feature.required else None
        elif feature.type == "category":
            detail = _category_problem(feature, value)
        else:
            detail = _number_problem(feature, value)
        return None if detail is None else FieldProblem(_pointer(name), detail)


def _category_problem(feature: FeatureSpec, value: object) -> str | None:
    allowed = feature.values or ()
    if not isinstance(value, str):
        return f"{feature.name} is text, one of: {_listed(allowed)}; this is {_type_name(value)}"
    if value not in allowed:
        return f"{_shortened(value)} is no {feature.name}; allowed: {_listed(allowed)}"
    return None


def _number_problem(feature: FeatureSpec, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{feature.name} is a number; this is {_type_name(value)}"
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        return f"{feature.name} must be a finite number that fits 64-bit floating point"
    if feature.range is not None and not feature.range[0] <= number <= feature.range[1]:
        return f"{number:g} is out of range; {feature.name} lies from {feature.range[0]:g} to {feature.range[1]:g}"
    return None


def _codes(values: tuple[str, ...]) -> dict[Any, float]:
    return {None: math.nan} | {value: float(code) for code, value in enumerate(values)}


def _values_getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    single = attrgetter(names[0])
    return lambda instance: (single(instance),)


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _type_name(value: object) -> str:
    return _JSON_NAMES.get(type(value), "a number")


def _listed(values: tuple[str, ...]) -> str:
    shown = ", ".join(values[:_MAX_LISTED])
    return shown if len(values) <= _MAX_LISTED else f"{shown} and {len(values) - _MAX_LISTED} more"


def _shortened(text: str) -> str:
    return repr(text) if len(text) <= 64 else f"{text[:64]!r}… ({len(text)} characters)"
