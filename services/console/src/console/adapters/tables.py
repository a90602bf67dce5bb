"""The lake's tables, as far as a page shows them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from console.application.ports import Away
from flywheel_schemas.spec import ModelSpec
from lake import read, versions
from lake.errors import LakeError
from lake.lake import Lake


class LakeTables:
    """Reads specs, the log of each dataset, and counts of its rows."""

    def __init__(self, lake: Lake, specs_dir: Path | None) -> None:
        self._lake = lake
        self._specs_dir = specs_dir

    def specs(self) -> Mapping[str, ModelSpec]:
        """Every model's spec. Raises Away."""
        try:
            return self._lake.specs.with_shipped(self._specs_dir)
        except (LakeError, OSError) as error:
            raise Away(f"The lake does not answer: {error}") from error

    def versions(self, model: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """The dataset's newest versions: version, at, operation, rows added, who and why. Raises Away."""
        try:
            found = versions.list_versions(self._lake.table(model, "feedback"), limit)
        except LakeError as error:
            raise Away(f"The lake does not answer: {error}") from error
        return [
            {
                "version": each.version,
                "at": each.committed_at,
                "operation": each.operation,
                "rows": each.rows_added,
                "note": each.note,
                "who": each.who,
            }
            for each in found
        ]

    def summary(self, model: str) -> Sequence[Mapping[str, Any]]:
        """Rows of the dataset by day, source, kind and label, newest day first. Raises Away."""
        table = self._lake.table(model, "feedback")
        by = ("event_date", "source", "kind", "label")
        try:
            if not table.exists():
                return []
            counted = read.scan(table).group_by(by).agg(pl.len().alias("rows")).sort("event_date", descending=True)
            return read.collect(counted.head(500), table.uri).to_dicts()
        except LakeError as error:
            raise Away(f"The lake does not answer: {error}") from error
