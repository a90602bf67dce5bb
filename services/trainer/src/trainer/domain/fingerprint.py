"""A training set's name: the digest of exactly what the model learns from."""

import hashlib
import json

import numpy as np
import polars as pl

from flywheel_schemas.spec import ModelSpec

_SPEC_PARTS = {"name", "task", "label", "features", "training"}


def training_set_hash(rows: pl.DataFrame, spec: ModelSpec) -> str:
    """SHA-256, in hex, of the rows in their order (every column, to the last bit) and of the spec's training parts.

    Library versions are not in it: they are recorded beside it, so that a difference can be told apart.
    """
    digest = hashlib.sha256()
    parts = spec.model_dump(mode="json", include=_SPEC_PARTS)
    digest.update(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode())
    for name in sorted(rows.columns):
        digest.update(f"\n{name}:{rows.height}:".encode())
        _add(digest, rows[name])
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", column: pl.Series) -> None:
    digest.update(column.is_null().to_numpy().tobytes())
    if column.dtype == pl.String:
        filled = column.fill_null("")
        digest.update(filled.str.len_bytes().cast(pl.UInt32).to_numpy().astype("<u4").tobytes())
        digest.update("".join(filled.to_list()).encode())
    elif column.dtype == pl.Float64:
        numbers = column.fill_null(0.0).to_numpy()
        # One pattern for every NaN, and none for minus zero: equal rows have one name.
        digest.update((np.where(np.isnan(numbers), np.nan, numbers) + 0.0).astype("<f8").tobytes())
    else:
        digest.update(column.to_physical().fill_null(0).cast(pl.Int64).to_numpy().astype("<i8").tobytes())
