"""A training set read from its Parquet file, one row group at a time."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from flywheel_schemas.spec import ModelSpec


class ParquetRows:
    """The columns that are no features in memory; of the features one row group, the last that was asked for."""

    def __init__(self, file: Path, spec: ModelSpec) -> None:
        self._file = pq.ParquetFile(file)
        self._names = list(spec.feature_names)
        counts = [self._file.metadata.row_group(at).num_rows for at in range(self._file.num_row_groups)]
        self._starts = np.cumsum([0, *counts])
        others = [name for name in self._file.schema_arrow.names if name not in spec.feature_names]
        self.index = _frame(self._file.read(columns=others))
        self._held: tuple[int, pl.DataFrame] | None = None

    def features(self, places: np.ndarray) -> pl.DataFrame:
        """As `application.rows.Rows` says."""
        groups = np.searchsorted(self._starts, places, side="right") - 1
        found = [self._group(int(group))[places[groups == group] - self._starts[group]] for group in np.unique(groups)]
        return pl.concat(found) if found else self._group(0).clear()

    def _group(self, group: int) -> pl.DataFrame:
        if self._held is None or self._held[0] != group:
            self._held = None  # let go before the next one comes
            self._held = group, _frame(self._file.read_row_group(group, columns=self._names))
        return self._held[1]


def _frame(table: pa.Table) -> pl.DataFrame:
    found = pl.from_arrow(table)
    assert isinstance(found, pl.DataFrame)  # noqa: S101 - a table gives a frame
    return found
