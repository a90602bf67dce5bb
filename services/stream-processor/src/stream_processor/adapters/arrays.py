"""Columns from rows, and the checks that are cheaper on whole columns than in the decoder."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake import schema

_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_HASH = "^[0-9a-f]{32}$"
# Year 1 to 9999, in UTC, to the microsecond: how events are written here. Other spellings go the slow way.
_TIME = r"^(?:[1-9]\d{3}|0[1-9]\d{2}|00[1-9]\d|000[1-9])-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?Z$"
_HEX_CHARS = np.array([i for i in range(36) if i not in {8, 13, 18, 23}])
_NIBBLES = np.zeros(256, dtype=np.uint8)
_NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


def transpose(rows: Sequence[Any], names: tuple[str, ...]) -> dict[str, Sequence[Any]]:
    """The rows' attributes as columns by name."""
    if not rows:
        return dict.fromkeys(names, ())
    if len(names) == 1:
        return {names[0]: list(map(attrgetter(names[0]), rows))}
    return dict(zip(names, zip(*map(attrgetter(*names), rows), strict=True), strict=True))


def uuids(texts: Sequence[str] | pa.Array) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Texts of 36 characters as a column, as uint64 of shape (n, 2), and which are canonical UUIDs."""
    column = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string())
    good = to_numpy(pc.match_substring_regex(column, _UUID))
    n = len(texts)
    if not good.all():
        column = pc.if_else(good, column, "0" * 8 + ("-" + "0" * 4) * 3 + "-" + "0" * 12)
    if not n:
        return column, np.empty((0, 2), dtype=np.uint64), good
    chars = np.frombuffer(column.buffers()[2], np.uint8, count=n * 36, offset=column.offset * 36).reshape(n, 36)
    nibbles = _NIBBLES[chars[:, _HEX_CHARS]]
    octets = np.ascontiguousarray((nibbles[:, 0::2] << 4) | nibbles[:, 1::2])
    halves = octets.view(">u8").astype(np.uint64)
    return column, halves, good


def optional_uuids(texts: Sequence[str | None]) -> tuple[pa.Array, np.ndarray]:
    """Texts or None as a column, and which are absent or canonical UUIDs."""
    return _matching(pa.array(texts, pa.string()), _UUID)


def hashes(texts: Sequence[str | None]) -> tuple[pa.Array, np.ndarray]:
    """User hashes or None as a column, and which are absent or 32 hex digits."""
    return _matching(pa.array(texts, pa.string()), _HASH)


def times(texts: Sequence[str]) -> tuple[pa.Array, np.ndarray]:
    """RFC 3339 texts in UTC as a timestamp column, and which could be read; the others become 1970."""
    column = pa.array(texts, pa.string())
    good = to_numpy(pc.match_substring_regex(column, _TIME))
    try:
        return _with_default(column, good).cast(schema.TIMESTAMP), good
    except pa.ArrowInvalid:
        # One of them names a day that does not exist, such as 30 February.
        readable = np.fromiter((_is_time(text) for text in texts), bool, len(texts)) & good
        return _with_default(column, readable).cast(schema.TIMESTAMP), readable


def to_numpy(booleans: pa.Array) -> np.ndarray:
    """A boolean column without nulls as an array; nulls are False."""
    return np.asarray(pc.fill_null(booleans, False).to_numpy(zero_copy_only=False), dtype=bool)


def _matching(column: pa.Array, pattern: str) -> tuple[pa.Array, np.ndarray]:
    if column.null_count == len(column):
        return column, np.ones(len(column), dtype=bool)
    return column, np.asarray(to_numpy(pc.match_substring_regex(column, pattern)) | to_numpy(column.is_null()))


def _with_default(column: pa.Array, good: np.ndarray) -> pa.Array:
    return column if good.all() else pc.if_else(good, column, "1970-01-01T00:00:00Z")


def _is_time(text: str) -> bool:
    try:
        pa.array([text]).cast(schema.TIMESTAMP)
    except pa.ArrowInvalid:
        return False
    return True
