"""Whole columns as float64, whichever library holds them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# A list, or an array of NumPy or pyarrow: what has a length and can be read in order.
Column = Sequence[Any] | np.ndarray


def number_numbers(column: Column) -> np.ndarray:
    """The column as float64; missing values are NaN. Raises ValueError where something is no number."""
    if isinstance(column, pa.Array | pa.ChunkedArray):
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    if isinstance(column, np.ndarray) and column.dtype != object:
        return column.astype(np.float64)
    if any(isinstance(value, str) for value in column):  # NumPy would read "1.5" as a number
        raise ValueError("a number's column holds text")
    return np.array(column, dtype=np.float64)


def category_numbers(column: Column, codes: Mapping[Any, float]) -> np.ndarray:
    """The code of each category as float64; NaN for what is missing or has no code."""
    if isinstance(column, pa.Array | pa.ChunkedArray):
        known = pa.array([value for value in codes if value is not None], pa.string())
        found = pc.index_in(column.cast(pa.string()), value_set=known)
        return np.asarray(found.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.fromiter((codes.get(value, np.nan) for value in column), np.float64, len(column))


def texts(column: Column) -> Sequence[str | None]:
    """The column as texts; None is what is missing. Raises ValueError where something is no text."""
    found = column.to_pylist() if isinstance(column, pa.Array | pa.ChunkedArray) else list(column)
    values = [None if value is None or value != value else value for value in found]  # noqa: PLR0124 - NaN, as pandas has it
    if any(value is not None and not isinstance(value, str) for value in values):
        raise ValueError("a timestamp's column holds something else than text; write moments as RFC 3339")
    return values
