"""A model in the protocol's words: its inputs and outputs, rows from tensors, tensors from answers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from features import FeatureSchema
from flywheel_schemas.spec import ModelSpec
from inference.application.answer import Answer
from inference.entrypoints.open_inference.tensors import TEXT, InputError, Tensor
from inference.entrypoints.requests import MAX_ROWS

ALL_FEATURES = "features"
_SHOWN_ROWS = 10
# name, datatype, and what of the shape follows the number of rows
Described = tuple[str, str, tuple[int, ...]]


def inputs(spec: ModelSpec) -> list[Described]:
    """One tensor per feature."""
    return [(feature.name, TEXT if feature.is_text else "FP64", ()) for feature in spec.features]


def outputs(spec: ModelSpec, *, explained: bool = False) -> list[Described]:
    """What every answer consists of; a regression has no scores."""
    width = len(spec.features)
    return [
        ("label", "FP64" if spec.task == "regression" else TEXT, ()),
        *([("scores", "FP64", (len(spec.classes),))] if spec.classes else []),
        ("prediction_id", TEXT, ()),
        ("feedback_token", TEXT, ()),
        ("feedback_requested", "BOOL", ()),
        *([("contributions", "FP64", (width,)), ("base_value", "FP64", ())] if explained else []),
    ]


def rows_of(tensors: Sequence[Tensor], schema: FeatureSchema) -> list[msgspec.Struct]:
    """The rows that a request's inputs describe. Raises InputError."""
    named = {tensor.name: tensor for tensor in tensors}
    if not tensors:
        raise InputError("inputs is a list of tensors: {name, datatype, shape, data}")
    if len(named) < len(tensors):
        twice = sorted(name for name in named if sum(tensor.name == name for tensor in tensors) > 1)
        raise InputError(f"the input {twice[0]} stands twice; keep one")
    if set(named) == {ALL_FEATURES} and ALL_FEATURES not in schema.names:
        columns = _columns_of_matrix(named[ALL_FEATURES], schema)
    else:
        columns = {name: _column(tensor) for name, tensor in named.items()}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise InputError("all inputs need the same number of rows")
    if not 1 <= (count := lengths.pop()) <= MAX_ROWS:
        raise InputError(f"1 to {MAX_ROWS:,} rows are answered at a time, not {count:,}")
    return _rows([dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)], schema)


def tensors_of(answers: Sequence[Answer], spec: ModelSpec, wanted: Sequence[str], *, explained: bool) -> list[Tensor]:
    """The answers as tensors, in the order of the metadata; `wanted` names some of them (none: all).

    Raises InputError for a name that is none of them.
    """
    available = outputs(spec, explained=explained)
    names = [name for name, _, _ in available]
    for name in wanted:
        if name not in names:
            raise InputError(f"there is no output {name!r}; there are: {', '.join(names)}")
    return [
        Tensor(name, datatype, (len(answers), *rest), _values(name, answers, spec))
        for name, datatype, rest in available
        if not wanted or name in wanted
    ]


def check_wanted(spec: ModelSpec, wanted: Sequence[str], *, explained: bool) -> None:
    """Raises InputError for an output that there is not: before anything is answered."""
    tensors_of((), spec, wanted, explained=explained)


def _values(name: str, answers: Sequence[Answer], spec: ModelSpec) -> list[Any]:
    if name in _SPREAD:
        keys = spec.classes if name == "scores" else spec.feature_names
        return [by_key[key] for answer in answers if (by_key := _SPREAD[name](answer)) for key in keys]
    return [getattr(answer, name) for answer in answers]


_SPREAD: dict[str, Callable[[Answer], Any]] = {
    "scores": lambda answer: answer.scores,
    "contributions": lambda answer: answer.contributions,
}


def _column(tensor: Tensor) -> Sequence[Any]:
    if len(tensor.shape) > 2 or (len(tensor.shape) == 2 and tensor.shape[1] != 1):
        raise InputError(f"the input {tensor.name} is one value per row: its shape is [rows] or [rows, 1]")
    return _as_numbers(tensor)


def _columns_of_matrix(tensor: Tensor, schema: FeatureSchema) -> Mapping[str, Sequence[Any]]:
    if any(feature.is_text for feature in schema.features):
        raise InputError("this model has categories or timestamps: send one input per feature")
    width = len(schema.names)
    if tensor.datatype == TEXT:
        raise InputError("the input features is of numbers, such as FP64")
    if len(tensor.shape) != 2 or tensor.shape[1] != width:
        raise InputError(f"the input features has the shape [rows, {width}], in the order {', '.join(schema.names)}")
    values = _as_numbers(tensor)
    return {name: values[position::width] for position, name in enumerate(schema.names)}


def _as_numbers(tensor: Tensor) -> Sequence[Any]:
    """The values, truth values as 0 and 1."""
    if tensor.datatype != "BOOL":
        return tensor.values
    return [None if value is None else int(value) for value in tensor.values]


def _rows(instances: list[dict[str, Any]], schema: FeatureSchema) -> list[msgspec.Struct]:
    try:
        found: list[msgspec.Struct] = msgspec.convert(instances, list[schema.row_type])  # type: ignore[name-defined]  # made at run time
    except (msgspec.ValidationError, OverflowError) as exc:
        raise InputError(_violations(instances, schema) or str(exc)) from exc
    return found


def _violations(instances: list[dict[str, Any]], schema: FeatureSchema) -> str:
    told = []
    for index, instance in enumerate(instances):
        if found := [f"{problem.pointer}: {problem.detail}" for problem in schema.violations(instance)]:
            told.append(f"row {index}: {'; '.join(found)}")
        if len(told) == _SHOWN_ROWS:
            break
    return "; ".join(told)
