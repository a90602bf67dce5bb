"""Training sets, each written once under its hash and kept as long as a model that learned from it is.

`{model}/_flywheel/training_sets/<hash>.parquet` holds the rows, `<hash>.events.parquet` their event ids in order, so
that whether an event taught a model is one read. `{model}/_flywheel/versions/<version>.json` names each version's hash.
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Set
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from flywheel_schemas.spec_model import RetentionPolicy
from lake import read, sorted_ids
from lake.errors import VersionGone
from lake.lake import Lake

_ROWS, _EVENTS = ".parquet", ".events.parquet"
# A set without a version may belong to a training that is under way.
_UNREGISTERED = timedelta(days=7)


class Pins:
    """The training sets of one model. Methods raise LakeUnavailable and AccessDenied."""

    def __init__(self, lake: Lake, model: str) -> None:
        self._lake = lake
        self._objects = lake.objects
        self._sets = f"{model}/_flywheel/training_sets/"
        self._versions = f"{model}/_flywheel/versions/"
        self._search = sorted_ids.SortedIds(lake)

    def keep(self, digest: str, rows: pl.DataFrame) -> str:
        """Write the training set under its digest, unless it is there; its address.

        The ids go first: a set that is there has them. Rows without event_id (base) have none.
        """
        key = self._sets + digest + _ROWS
        if self._objects.size(key) is None:
            ids = rows.select(pl.col("event_id").cast(pl.String)).drop_nulls().unique()
            self._objects.put(self._sets + digest + _EVENTS, sorted_ids.encode(ids))
            with tempfile.NamedTemporaryFile(suffix=_ROWS) as file:
                rows.write_parquet(file.name, compression="zstd", compression_level=1)
                self._objects.upload_if_absent(key, Path(file.name))
        return self._objects.uri(key)

    def rows(self, digest: str) -> pl.LazyFrame | None:
        """The training set of that digest, read as far as it is used; None where it is no longer kept."""
        key = self._sets + digest + _ROWS
        if self._objects.size(key) is None:
            return None
        options = {name: value for name, value in self._lake.settings.storage_options().items() if name[:4] == "aws_"}
        return pl.scan_parquet(self._objects.uri(key), storage_options=options or None)

    def download(self, digest: str, target: Path) -> bool:
        """Copy the Parquet file of that digest to `target`; whether it is kept."""
        return self._objects.download(self._sets + digest + _ROWS, target)

    def note(self, version: str, said: Mapping[str, Any]) -> None:
        """Say what a registered version was trained on (`training_set_hash`); the first note stays."""
        self._objects.put_if_absent(f"{self._versions}{version}.json", json.dumps(dict(said), sort_keys=True).encode())

    def holds(self, digest: str, event_id: str) -> bool:
        """Whether the event is in the training set; False for one that is no longer kept."""
        key = self._sets + digest + _EVENTS
        try:
            return self._search.find(key, event_id, self._objects.size(key)) is not None
        except VersionGone:
            return self._scanned(digest, event_id)

    def events(self, digest: str) -> list[str]:
        """The ids of the events in the training set, in order; none for one that is no longer kept."""
        rows = self.rows(digest)
        if rows is None:
            return []
        ids = read.collect(rows.select("event_id").drop_nulls().unique().sort("event_id"), self._sets + digest)
        return list(ids["event_id"])

    def page(self, digest: str, after: str, limit: int) -> pl.DataFrame | None:
        """The `limit` rows of feedback that follow the event `after`, by event_id; None for a set no longer kept."""
        rows = self.rows(digest)
        if rows is None:
            return None
        page = rows.filter(pl.col("event_id") > after).bottom_k(limit, by="event_id").sort("event_id")
        return read.collect(page, self._sets + digest)

    def counts(self, digest: str) -> dict[str, int]:
        """How many rows the training set has of each `source`; nothing for one that is no longer kept."""
        rows = self.rows(digest)
        if rows is None:
            return {}
        counted = read.collect(rows.group_by("source").len().sort("source"), self._sets + digest)
        return {str(source): int(count) for source, count in counted.iter_rows()}

    def strip(self, digest: str, events: Set[str]) -> None:
        """Rewrite the training set without these events, for those that people had erased."""
        rows = self.rows(digest)
        if rows is None:
            return
        erased = pl.col("event_id").is_in(sorted(events)).fill_null(value=False)
        kept = read.collect(rows.filter(~erased), self._sets + digest)
        ids = kept.select(pl.col("event_id").cast(pl.String)).drop_nulls().unique()
        content = BytesIO()
        kept.write_parquet(content, compression="zstd", compression_level=1)
        # The ids go first: a crash in between leaves rows to strip.
        self._objects.put(self._sets + digest + _EVENTS, sorted_ids.encode(ids))
        self._objects.put(self._sets + digest + _ROWS, content.getvalue())

    def expire(self, retention: RetentionPolicy, in_use: Set[str]) -> list[str]:
        """Remove training sets whose models were all registered longer ago than `dataset_versions`; their digests.

        Those of `in_use` (hashes of versions that serve, or may yet) stay, and for a week those without a version.
        """
        youngest = self._youngest_s()
        removed = []
        for digest in sorted(self._kept() - in_use):
            limit = retention.dataset_versions if digest in youngest else _UNREGISTERED
            age_s = youngest.get(digest, self._objects.age_s(self._sets + digest + _ROWS))
            if age_s is not None and age_s > limit.total_seconds():
                # The rows go first: ids without rows are removed by the next round.
                self._objects.delete(self._sets + digest + _ROWS)
                removed.append(digest)
        for digest in self._orphans():
            self._objects.delete(self._sets + digest + _EVENTS)
        return removed

    def _youngest_s(self) -> dict[str, float]:
        """By digest the seconds since the newest version that was trained on it was registered."""
        ages: dict[str, list[float]] = defaultdict(list)
        for key in self._objects.list(self._versions):
            raw, age_s = self._objects.get(key), self._objects.age_s(key)
            if raw is not None and age_s is not None:
                ages[json.loads(raw)["training_set_hash"]].append(age_s)
        return {digest: min(found) for digest, found in ages.items()}

    def _kept(self) -> set[str]:
        keys = (key for key in self._objects.list(self._sets) if not key.endswith(_EVENTS))
        return {key.removeprefix(self._sets).removesuffix(_ROWS) for key in keys if key.endswith(_ROWS)}

    def _orphans(self) -> list[str]:
        ids = [key for key in self._objects.list(self._sets) if key.endswith(_EVENTS)]
        old = (key for key in ids if (self._objects.age_s(key) or 0.0) > _UNREGISTERED.total_seconds())
        return sorted({key.removeprefix(self._sets).removesuffix(_EVENTS) for key in old} - self._kept())

    def _scanned(self, digest: str, event_id: str) -> bool:
        """For sets that were kept before their ids were."""
        rows = self.rows(digest)
        if rows is None:
            return False
        found = rows.filter(pl.col("event_id") == event_id).select(pl.len())
        return bool(read.collect(found, self._sets + digest).item())
