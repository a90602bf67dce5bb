"""What an instance of a model may hold, and the row of numbers that it becomes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from features.columns import Column
from features.preparing import Preparation
from features.rows import MAX_CATEGORY_CHARS, TIMESTAMP, row_struct
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

    `names` are the raw features, `columns` what the model sees of them, both in the order of the spec. Numbers are
    float64: a number is itself (within `clip`), a category its position in the spec's `values`, a timestamp the parts
    that the spec derives. What is missing is the spec's `missing`, else NaN; so is, in `matrix`, an unknown category.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.features: tuple[FeatureSpec, ...] = spec.features
        self.names: tuple[str, ...] = spec.feature_names
        self.columns: tuple[str, ...] = tuple(column for feature in spec.features for column in feature.columns)
        kinds = [feature.type for feature in spec.features for _ in feature.columns]
        self.categorical_indices: tuple[int, ...] = tuple(at for at, kind in enumerate(kinds) if kind == "category")
        self.row_type: type[msgspec.Struct] = row_struct(spec)
        self._by_name = {feature.name: feature for feature in spec.features}
        self._required = frozenset(feature.name for feature in spec.features if feature.required)
        self._prepared = [Preparation(feature) for feature in spec.features]
        self._is_plain = all(preparation.is_plain for preparation in self._prepared)
        self._codes = {at: one.codes for at, one in enumerate(self._prepared) if one.codes is not None}
        self._values = _values_getter(self.names)

    def violations(self, instance: object) -> list[FieldProblem]:
        """Everything wrong with `instance` (as parsed from JSON); empty exactly when `row_type` decodes it."""
        if not isinstance(instance, dict):
            return [FieldProblem("", f"an instance is an object of features, not {_type_name(instance)}")]
        problems = [problem for name, value in instance.items() if (problem := self._problem(name, value)) is not None]
        missing = (name for name in self.names if name in self._required and name not in instance)
        return problems + [FieldProblem(_pointer(name), f"{name} is required; add it") for name in missing]

    def matrix(self, columns: Mapping[str, Column]) -> np.ndarray:
        """`columns` (by feature name, of equal length) as float64 of shape (rows, len(self.columns)).

        An optional feature without a column is missing throughout. Raises ValueError where a required
        feature has no column, the lengths differ, or a number's column holds no numbers.
        """
        if absent := sorted(self._required.difference(columns)):
            raise ValueError(f"columns are missing for required features: {', '.join(absent)}")
        lengths = {len(columns[name]) for name in self.names if name in columns}
        if not lengths:
            raise ValueError("there is no column for any feature of the model")
        if len(lengths) != 1:
            raise ValueError(f"columns differ in length: {', '.join(str(length) for length in sorted(lengths))}")
        rows, at = lengths.pop(), 0
        matrix = np.empty((rows, len(self.columns)))
        for preparation in self._prepared:
            column = columns.get(preparation.feature.name)
            numbers = preparation.one(None) if column is None else preparation.column(column)
            matrix[:, at : at + preparation.width] = numbers
            at += preparation.width
        return matrix

    def given(self, instance: msgspec.Struct) -> int:
        """How many features the decoded instance has a value for."""
        return len(self.names) - self._values(instance).count(None)

    def numbers(self, instance: msgspec.Struct) -> list[float]:
        """One decoded instance (of `row_type`) as the numbers of its row of `matrix`, bit for bit."""
        values = list(self._values(instance))
        if not self._is_plain:
            pairs = zip(self._prepared, values, strict=True)
            return [number for preparation, value in pairs for number in preparation.one(value)]
        for position, codes in self._codes.items():
            values[position] = codes[values[position]]
        return [math.nan if value is None else value for value in values] if None in values else values

    def row(self, instance: msgspec.Struct) -> np.ndarray:
        """As `numbers`, as float64 of shape (columns,)."""
        return np.array(self.numbers(instance), dtype=np.float64)

    def rows(self, instances: list[msgspec.Struct]) -> np.ndarray:
        """Decoded instances as float64 of shape (instances, columns); `row` for many at once."""
        if not self._is_plain:
            return np.array([self.numbers(instance) for instance in instances], dtype=np.float64)
        matrix = np.empty((len(instances), len(self.columns)))
        for position, column in enumerate(zip(*map(self._values, instances), strict=True)):
            codes = self._codes.get(position)
            matrix[:, position] = column if codes is None else [codes[value] for value in column]
        return matrix

    def example(self) -> dict[str, Any]:
        """An instance that the model takes: the first category, the end of a range that is nearest to nothing."""
        return {feature.name: _example(feature) for feature in self.features}

    def _problem(self, name: str, value: object) -> FieldProblem | None:
        feature = self._by_name.get(name)
        if feature is None:
            detail: str | None = f"the model has no such feature; it has: {_listed(self.names)}"
        elif value is None:
            detail = f"{name} is required; null is not a value" if feature.required else None
        elif feature.type == "category":
            detail = _category_problem(feature, value)
        elif feature.type == "timestamp":
            detail = _timestamp_problem(feature, value)
        else:
            detail = _number_problem(feature, value)
        return None if detail is None else FieldProblem(_pointer(name), detail)


def _category_problem(feature: FeatureSpec, value: object) -> str | None:
    allowed = feature.values or ()
    if not isinstance(value, str):
        return f"{feature.name} is text, one of: {_listed(allowed)}; this is {_type_name(value)}"
    if feature.unseen == "missing":
        return (
            None
            if 1 <= len(value) <= MAX_CATEGORY_CHARS
            else f"{feature.name} has 1 to {MAX_CATEGORY_CHARS} characters"
        )
    if value not in allowed:
        return f"{_shortened(value)} is no {feature.name}; allowed: {_listed(allowed)}"
    return None


def _timestamp_problem(feature: FeatureSpec, value: object) -> str | None:
    if not isinstance(value, str):
        return f"{feature.name} is text like 2026-03-01T08:00:00Z; this is {_type_name(value)}"
    try:
        msgspec.convert(value, TIMESTAMP)
    except msgspec.ValidationError:
        return f"{_shortened(value)} is no moment; write {feature.name} like 2026-03-01T08:00:00Z, with its offset"
    return None


def _example(feature: FeatureSpec) -> str | float:
    if feature.type == "timestamp":
        return "1970-01-01T00:00:00Z"
    if feature.values:
        return feature.values[0]
    low, high = feature.range or (0.0, 0.0)
    return min(max(0.0, low), high)


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
