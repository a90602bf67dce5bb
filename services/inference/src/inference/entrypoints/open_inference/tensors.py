"""Tensors of the protocol, apart from any transport: datatypes, values, and the binary form of both."""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Little-endian, as the binary data extension and gRPC's raw contents have them.
_NUMPY = {
    "BOOL": np.dtype("?"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
TEXT = "BYTES"
_LENGTH = struct.Struct("<I")


class InputError(ValueError):
    """A request that does not fit the protocol or the model. The text says what to mend."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """`values` are flat, in row-major order: text for BYTES, else numbers or truth values; None is missing."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Sequence[Any]


def checked(name: object, datatype: object, shape: object) -> tuple[str, str, tuple[int, ...]]:
    """A tensor's head. Raises InputError."""
    if not isinstance(name, str) or not name:
        raise InputError("each input is an object with name, datatype, shape and data")
    if not isinstance(datatype, str) or (datatype != TEXT and datatype not in _NUMPY):
        known = ", ".join([TEXT, *_NUMPY])
        raise InputError(f"the input {name} has the datatype {datatype!r}; there are: {known}")
    if not isinstance(shape, list | tuple) or not shape or not all(type(size) is int and size >= 0 for size in shape):
        raise InputError(f"the input {name} needs a shape: a list of sizes")
    return name, datatype, tuple(shape)


def from_values(name: str, datatype: str, shape: tuple[int, ...], values: Sequence[Any]) -> Tensor:
    """A tensor of `values`, flat or nested. Raises InputError where they do not fit shape or datatype."""
    flat = list(_leaves(values))
    _check_count(name, shape, len(flat))
    kinds: tuple[type, ...] = (str,) if datatype == TEXT else (bool,) if datatype == "BOOL" else (int, float)
    for position, value in enumerate(flat):
        if value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and datatype != "BOOL")):
            raise InputError(f"the input {name} is {datatype}, but its value {position} is {type(value).__name__}")
    return Tensor(name, datatype, shape, flat)


def from_bytes(name: str, datatype: str, shape: tuple[int, ...], raw: bytes) -> Tensor:
    """A tensor from its binary form. Raises InputError where its length does not fit.

    There is no null in it: NaN stands for a missing number, empty text for a missing category.
    """
    values = list(_texts(name, raw)) if datatype == TEXT else _numbers(name, datatype, raw)
    _check_count(name, shape, len(values))
    return Tensor(name, datatype, shape, values)


def to_bytes(tensor: Tensor) -> bytes:
    """The binary form of a tensor without missing values."""
    if tensor.datatype != TEXT:
        return np.array(tensor.values, dtype=_NUMPY[tensor.datatype]).tobytes()
    encoded = [value.encode() for value in tensor.values]
    return b"".join(part for text in encoded for part in (_LENGTH.pack(len(text)), text))


def decoded_text(name: str, raw: bytes) -> str | None:
    """One element of BYTES; None for an empty one. Raises InputError where it is not UTF-8."""
    try:
        return raw.decode("utf-8") or None
    except UnicodeDecodeError as exc:
        raise InputError(f"the input {name} holds text that is not UTF-8") from exc


def _numbers(name: str, datatype: str, raw: bytes) -> list[Any]:
    kind = _NUMPY[datatype]
    if len(raw) % kind.itemsize:
        raise InputError(f"the input {name} holds {len(raw)} bytes, no multiple of {kind.itemsize} ({datatype})")
    values: list[Any] = np.frombuffer(raw, kind).tolist()
    return [None if value != value else value for value in values] if kind.kind == "f" else values  # noqa: PLR0124


def _texts(name: str, raw: bytes) -> Iterator[str | None]:
    at = 0
    while at < len(raw):
        if len(raw) - at < _LENGTH.size:
            raise InputError(f"the input {name} ends within the length of an element")
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        if len(raw) - at < length:
            raise InputError(f"the input {name} ends within an element of {length} bytes")
        yield decoded_text(name, raw[at : at + length])
        at += length


def _check_count(name: str, shape: tuple[int, ...], count: int) -> None:
    if count != math.prod(shape):
        raise InputError(f"the input {name} holds {count} values, its shape {list(shape)} asks for {math.prod(shape)}")


def _leaves(data: Sequence[Any]) -> Iterator[Any]:
    for value in data:
        if isinstance(value, list):
            yield from _leaves(value)
        else:
            yield value
