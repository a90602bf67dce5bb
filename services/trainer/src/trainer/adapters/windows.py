"""The newest rows of the lake, by when the server received them."""

from datetime import datetime

import polars as pl

from flywheel_schemas.spec import ModelSpec
from lake import Lake, read, schema


class LakeWindows:
    """Reads a window of a table, without what its users had erased.

    Whole days are skipped by the partition column, files by their statistics.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def predictions(self, spec: ModelSpec, since: datetime) -> pl.DataFrame:
        """Answers received since then, with features; without the scores of the other classes."""
        return self._rows(spec, "predictions", since)

    def feedback(self, spec: ModelSpec, since: datetime) -> pl.DataFrame:
        """Feedback received since then."""
        return self._rows(spec, "feedback", since)

    def state(self, model: str) -> tuple[int, int]:
        """Versions of feedback and predictions; -1 where there is no table."""
        return self._version(model, "feedback"), self._version(model, "predictions")

    def _version(self, model: str, kind: schema.Kind) -> int:
        table = self._lake.table(model, kind)
        return int(table.at(None).version()) if table.exists() else -1

    def _rows(self, spec: ModelSpec, kind: schema.Kind, since: datetime) -> pl.DataFrame:
        empty = pl.from_arrow(schema.of(kind, spec).empty_table())
        assert isinstance(empty, pl.DataFrame)  # noqa: S101 - a table gives a frame
        wanted = empty.drop("scores", strict=False)
        table = self._lake.table(spec.name, kind)
        if not table.exists():
            return wanted
        found = read.scan(table)
        present = set(found.collect_schema().names())
        columns = [
            pl.col(name).cast(dtype) if name in present else pl.lit(None, dtype).alias(name)
            for name, dtype in wanted.schema.items()
        ]
        recent = found.filter((pl.col("event_date") >= since.date()) & (pl.col("received_at") >= since))
        return read.collect(self._lake.erasures.tombstones().honoured(recent).select(columns), table.uri)
