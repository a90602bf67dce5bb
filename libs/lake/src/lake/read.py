"""Reading tables with Polars."""

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from lake.errors import translated
from lake.lake import Lake
from lake.schema import PARTITION_COLUMN, Kind
from lake.table import LakeTable, arrow_schema


def feedback(lake: Lake, model: str, version: int | None = None) -> pl.LazyFrame:
    """The model's feedback at `version` (None: the newest). Raises TableMissing or VersionGone."""
    return scan(lake.table(model, "feedback"), version)


def predictions(lake: Lake, model: str, version: int | None = None) -> pl.LazyFrame:
    """The model's answers. Raises TableMissing or VersionGone."""
    return scan(lake.table(model, "predictions"), version)


def quarantine(lake: Lake, model: str, version: int | None = None) -> pl.LazyFrame:
    """What did not fit the model. Raises TableMissing or VersionGone."""
    return scan(lake.table(model, "quarantine"), version)


def base(lake: Lake, model: str, version: int | None = None) -> pl.LazyFrame:
    """The data that the model started from. Raises TableMissing or VersionGone."""
    return scan(lake.table(model, "base"), version)


def of(lake: Lake, model: str, kind: Kind, version: int | None = None) -> pl.LazyFrame:
    """Any table of the model. Raises TableMissing or VersionGone."""
    return scan(lake.table(model, kind), version)


def scan(table: LakeTable, version: int | None = None) -> pl.LazyFrame:
    """The table as a lazy frame: filters and columns are pushed down to the files."""
    with translated(table.uri):
        opened = table.at(version)
        if not opened.file_uris():
            empty = pl.from_arrow(arrow_schema(opened).empty_table())
            return empty.lazy() if isinstance(empty, pl.DataFrame) else empty.to_frame().lazy()
        return pl.scan_delta(
            table.uri, version=int(opened.version()), storage_options=_for_polars(table.storage_options)
        )


def files(table: LakeTable, opened: DeltaTable, uris: list[str] | None, path_column: str | None = None) -> pl.LazyFrame:
    """Some files of `opened` (None: all), with every column of the table; those that a file lacks are null.

    `path_column` names a column to add, of each row's file.
    """
    empty = pl.from_arrow(arrow_schema(opened).empty_table())
    assert isinstance(empty, pl.DataFrame)  # noqa: S101 - a table gives a frame
    chosen = opened.file_uris() if uris is None else uris
    if not chosen:
        return empty.with_columns(pl.lit("").alias(path_column)).lazy() if path_column else empty.lazy()
    day = {PARTITION_COLUMN: pl.Date} if PARTITION_COLUMN in empty.columns else {}
    return pl.scan_parquet(
        chosen,
        schema={name: dtype for name, dtype in empty.schema.items() if name not in day},
        hive_schema=day or None,
        hive_partitioning=bool(day),
        missing_columns="insert",
        extra_columns="ignore",
        include_file_paths=path_column,
        storage_options=_for_polars(table.storage_options),
    )


def collect(frame: pl.LazyFrame, where: str) -> pl.DataFrame:
    """`frame.collect()`, with the store's troubles as LakeErrors that name `where`."""
    with translated(where):
        return frame.collect()


def to_arrow(frame: pl.LazyFrame, where: str) -> pa.Table:
    """The frame's rows as a pyarrow table."""
    return collect(frame, where).to_arrow()


def _for_polars(options: dict[str, str]) -> dict[str, str] | None:
    # Polars takes the places and keys, but has its own ideas of retries.
    return {name: value for name, value in options.items() if name.startswith("aws_")} or None
