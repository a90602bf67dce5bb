"""Tensors of the Open Inference Protocol v2, to and from rows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from features import FeatureSchema
from flywheel_schemas.spec import ModelSpec
from inference.application.answer import Answer
from inference.entrypoints.requests import MAX_ROWS

ALL_FEATURES = "features"
_NUMBERS = frozenset({"FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
Json = dict[str, Any]


class InputError(ValueError):
    """A request that does not fit the protocol or the model. The text says what to mend."""


def input_metadata(spec: ModelSpec) -> list[Json]:
    """One tensor per feature."""
    return [
        {"name": feature.name, "datatype": "BYTES" if feature.type == "category" else "FP64", "shape": [-1]}
        for feature in spec.features
    ]


def output_metadata(spec: ModelSpec) -> list[Json]:
    """What every answer consists of; a regression has no scores."""
    label = "FP64" if spec.task == "regression" else "BYTES"
    scores = [{"name": "scores", "datatype": "FP64", "shape": [-1, len(spec.classes)]}] if spec.classes else []
    return [
        {"name": "label", "datatype": label, "shape": [-1]},
        *scores,
        {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
        {"name": "feedback_token", "datatype": "BYTES", "shape": [-1]},
        {"name": "feedback_requested", "datatype": "BOOL", "shape": [-1]},
    ]


def rows_of(inputs: object, schema: FeatureSchema) -> list[msgspec.Struct]:
    """The rows that the request's `inputs` describe. Raises InputError."""
    tensors = _tensors(inputs)
    if set(tensors) == {ALL_FEATURES} and ALL_FEATURES not in schema.names:
        columns = _columns_of_matrix(tensors[ALL_FEATURES], schema)
    else:
        columns = {name: _column(tensor) for name, tensor in tensors.items()}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise InputError("all inputs need the same number of rows")
    if not 1 <= (count := lengths.pop()) <= MAX_ROWS:
        raise InputError(f"1 to {MAX_ROWS:,} rows are answered at a time, not {count:,}")
    return [_row(columns, index, schema) for index in range(count)]


def outputs_of(answers: Sequence[Answer], spec: ModelSpec, wanted: object) -> list[Json]:
    """The answers as tensors, in the order of the metadata; `wanted` is the request's `outputs`. Raises InputError."""
    available = {tensor["name"]: tensor for tensor in output_metadata(spec)}
    names = set(available) if not wanted else set(_wanted(wanted, available))
    return [
        {**tensor, "shape": [len(answers), *tensor["shape"][1:]], "data": list(_data(name, answers, spec))}
        for name, tensor in available.items()
        if name in names
    ]


def _data(name: str, answers: Sequence[Answer], spec: ModelSpec) -> Iterator[Any]:
    if name != "scores":
        return (getattr(answer, name) for answer in answers)
    return (answer.scores[value] for answer in answers if answer.scores for value in spec.classes)


def _wanted(outputs: object, available: Mapping[str, Json]) -> Iterator[str]:
    for output in outputs if isinstance(outputs, list) else [outputs]:
        name = output.get("name") if isinstance(output, dict) else None
        if not isinstance(name, str) or name not in available:
            raise InputError(f"there is no output {name!r}; there are: {', '.join(available)}")
        yield name


def _tensors(inputs: object) -> dict[str, Json]:
    if not isinstance(inputs, list) or not inputs:
        raise InputError("inputs is a list of tensors: {name, datatype, shape, data}")
    tensors: dict[str, Json] = {}
    for tensor in inputs:
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise InputError("each input is an object with name, datatype, shape and data")
        if tensor["name"] in tensors:
            raise InputError(f"the input {tensor['name']} stands twice; keep one")
        tensors[tensor["name"]] = tensor
    return tensors


def _column(tensor: Json) -> list[Any]:
    data = _flat(tensor)
    shape = tensor["shape"]
    if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        raise InputError(f"the input {tensor['name']} is one value per row: its shape is [rows] or [rows, 1]")
    return data


def _columns_of_matrix(tensor: Json, schema: FeatureSchema) -> dict[str, list[Any]]:
    if schema.categorical_indices:
        raise InputError("this model has categories: send one input per feature")
    if tensor.get("datatype") not in ("FP64", "FP32"):
        raise InputError("the input features is FP64")
    data, width = _flat(tensor), len(schema.names)
    if len(tensor["shape"]) != 2 or tensor["shape"][1] != width:
        raise InputError(f"the input features has the shape [rows, {width}], in the order {', '.join(schema.names)}")
    return {name: data[position::width] for position, name in enumerate(schema.names)}


def _flat(tensor: Json) -> list[Any]:
    """The tensor's values in row-major order, checked against its shape and datatype."""
    name, shape, data, datatype = (tensor.get(key) for key in ("name", "shape", "data", "datatype"))
    if not isinstance(shape, list) or not shape or not all(type(size) is int and size >= 0 for size in shape):
        raise InputError(f"the input {name} needs a shape: a list of sizes")
    if not isinstance(data, list):
        raise InputError(f"the input {name} needs data: a list")
    if datatype != "BYTES" and datatype not in _NUMBERS:
        raise InputError(f"the input {name} has the datatype {datatype!r}; use BYTES for text and FP64 for numbers")
    flat = list(_leaves(data))
    if len(flat) != math.prod(shape):
        raise InputError(f"the input {name} holds {len(flat)} values, its shape {shape} asks for {math.prod(shape)}")
    kinds = (str,) if datatype == "BYTES" else (int, float)
    for position, value in enumerate(flat):
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise InputError(f"the input {name} is {datatype}, but its value {position} is {type(value).__name__}")
    return flat


def _leaves(data: list[Any]) -> Iterator[Any]:
    for value in data:
        if isinstance(value, list):
            yield from _leaves(value)
        else:
            yield value


def _row(columns: Mapping[str, Sequence[Any]], index: int, schema: FeatureSchema) -> msgspec.Struct:
    instance = {name: column[index] for name, column in columns.items()}
    try:
        return msgspec.convert(instance, schema.row_type)
    except (msgspec.ValidationError, OverflowError) as exc:
        problems = "; ".join(f"{problem.pointer}: {problem.detail}" for problem in schema.violations(instance)[:10])
        raise InputError(f"row {index}: {problems or exc}") from exc
