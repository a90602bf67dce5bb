"""The lake's tables, as far as a page shows them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from console.application.ports import Away
from flywheel_schemas.spec import ModelSpec
from http_api.recent import Recent
from lake import read, versions
from lake.errors import LakeError
from lake.lake import Lake
from lake.table import LakeTable

_FILE, _BY = "_file", ("event_date", "source", "kind", "label")


class LakeTables:
    """Reads specs, the log of each dataset, and counts of its rows."""

    def __init__(self, lake: Lake, specs_dir: Path | None) -> None:
        self._lake = lake
        self._specs_dir = specs_dir
        self._specs_lately: Recent[Mapping[str, ModelSpec]] = Recent(times=2.0, old_s=30.0)
        self._counts: dict[str, pl.DataFrame] = {}

    def specs(self) -> Mapping[str, ModelSpec]:
        """Every model's spec. Raises Away."""
        return self._specs_lately.get("specs", self._specs)

    def _specs(self) -> Mapping[str, ModelSpec]:
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
        try:
            if not table.exists():
                return []
            counted = self._counted(model, table).group_by(_BY).agg(pl.col("rows").sum())
            return counted.sort("event_date", "rows", descending=True).head(500).to_dicts()
        except LakeError as error:
            raise Away(f"The lake does not answer: {error}") from error

    def _counted(self, model: str, table: LakeTable) -> pl.DataFrame:
        """Rows per file and group. A file never changes, so each is read once."""
        snapshot, kept = table.at(None), self._counts.get(model)
        present, known = snapshot.file_uris(), set() if kept is None else set(kept[_FILE])
        new = [uri for uri in present if uri not in known]
        if new or kept is None:
            counted = read.files(table, snapshot, new, _FILE).group_by(_FILE, *_BY).agg(pl.len().alias("rows"))
            fresh = read.collect(counted, table.uri)
            kept = fresh if kept is None else pl.concat([kept, fresh])
        self._counts[model] = kept = kept.filter(pl.col(_FILE).is_in(present))
        return kept
