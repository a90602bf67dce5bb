"""Finding one event among millions: by the index what it covers, by memory what has been appended since.

What upkeep has indexed takes one read of a run and one of the row's file. Files that no index covers yet (the flushes
of the last minute or so) are read once, when first seen, and kept until an index covers them.
"""

import threading
from typing import Any, NamedTuple
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lake import read
from lake.errors import LakeError, translated
from lake.event_index import EventIndex, Manifest, names
from lake.lake import Lake
from lake.parquet_groups import ParquetGroups
from lake.schema import Kind
from lake.sorted_ids import SortedIds

# A table object slows down with each commit that it follows.
_FOLLOWED = 50
# More rows than this are searched in their files, each time: the table awaits its first upkeep.
_REMEMBERED_ROWS = 200_000
_PATH = "_path"


class TableLookup:
    """Events of one table. Safe to use from several threads; they take turns in seeing what is new."""

    def __init__(self, lake: Lake, model: str, kind: Kind, columns: tuple[str, ...]) -> None:
        self._table = lake.table(model, kind)
        self._index = EventIndex(lake, model, kind)
        self._runs = SortedIds(lake)
        self._files = ParquetGroups(lake)
        self._folder = f"{model}/{kind}"
        self._columns = ("event_id", "kafka_partition", "kafka_offset", *columns)
        self._lock = threading.Lock()
        self._opened: DeltaTable | None = None
        self._loaded = -1
        self._seen = -1
        self._manifest = Manifest()
        self._recent = _Recent()
        self._actions: pa.Table | None = None

    def find(self, event_id: str) -> dict[str, Any] | None:
        """The event's `columns`, kafka_partition, kafka_offset and dataset_version (None: the log forgot), or None.

        Sees every commit made before the call. Raises LakeUnavailable.
        """
        if not self._table.exists():
            return None
        while True:
            with self._lock:
                seen = self._followed()
            try:
                return self._found(seen, event_id)
            except LakeError:
                # Upkeep merges runs without a commit to the table, and deletes the old ones later.
                if not self._reread(seen.manifest):
                    raise

    def _reread(self, manifest: Manifest) -> bool:
        """Whether the index has changed since `manifest`; then it is seen anew."""
        newest = self._index.manifest()
        if newest == manifest:
            return False
        with self._lock:
            self._manifest, self._recent, self._seen = newest, _Recent(), -1
        return True

    def _found(self, seen: "_Seen", event_id: str) -> dict[str, Any] | None:
        recent = seen.recent
        if recent.rows is None:
            found = self._row(seen.opened, recent.uris, pl.col("event_id") == event_id)
        else:
            matching = recent.rows.filter(pl.col("event_id") == event_id).to_dicts()
            found = matching[0] if matching else None
        if found is not None:
            version = recent.versions.get(found.pop(_PATH).rpartition("/")[2])
            return {name: found[name] for name in found if name != "event_id"} | {"dataset_version": version}
        return self._indexed(seen, event_id)

    def _indexed(self, seen: "_Seen", event_id: str) -> dict[str, Any] | None:
        for key, _ in seen.manifest.runs:
            if (entry := self._runs.find(key, event_id)) is None:
                continue
            for path in _may_hold(seen.actions, entry):
                if found := self._indexed_row(path, entry["kafka_offset"], event_id):
                    return found | {"dataset_version": entry["dataset_version"]}
        return None

    def _indexed_row(self, path: str, offset: int, event_id: str) -> dict[str, Any] | None:
        """The event in one file of the table, where it has this offset."""
        with translated(f"{self._table.uri}/{path}"):
            opened = self._files.open(f"{self._folder}/{path}", "kafka_offset")
            for group in opened.groups("kafka_offset", offset):
                rows = opened.read(group, self._columns)
                same = pc.and_(pc.equal(rows["kafka_offset"], offset), pc.equal(rows["event_id"], event_id))
                if found := rows.filter(same).to_pylist():
                    return {name: found[0].get(name) for name in self._columns if name != "event_id"}
        return None

    def _row(self, opened: DeltaTable, uris: list[str], condition: pl.Expr) -> dict[str, Any] | None:
        if not uris:
            return None
        frame = read.files(self._table, opened, uris, path_column=_PATH).filter(condition)
        rows = read.collect(frame.select(*self._columns, _PATH).head(1), self._table.uri).to_dicts()
        return rows[0] if rows else None

    def _followed(self) -> "_Seen":
        """The newest snapshot."""
        opened = self._opened
        if opened is None or int(opened.version()) - self._loaded > _FOLLOWED:
            opened = self._opened = self._table.at(None)
            self._loaded = int(opened.version())
        else:
            with translated(self._table.uri):
                opened.update_incremental()
        if int(opened.version()) != self._seen:
            self._actions = pa.table(opened.get_add_actions(flatten=True))
            self._recent = self._uncovered(opened, self._actions)
            self._seen = int(opened.version())
        return _Seen(opened, self._actions, self._recent, self._manifest)

    def _uncovered(self, opened: DeltaTable, actions: pa.Table) -> "_Recent":
        files = names(opened)
        if files.keys() - self._manifest.covered - self._recent.names:
            self._manifest = self._index.manifest()
        fresh = {name: uri for name, uri in files.items() if name not in self._manifest.covered}
        since = range(max(self._seen, self._manifest.version) + 1, int(opened.version()) + 1)
        versions = self._recent.versions | self._index.first_held(since)
        versions = {name: version for name, version in versions.items() if name in fresh}
        if _row_count(actions, fresh) > _REMEMBERED_ROWS:
            return _Recent(frozenset(fresh), versions, None, sorted(fresh.values()))
        return _Recent(frozenset(fresh), versions, self._remembered(opened, fresh), [])

    def _remembered(self, opened: DeltaTable, fresh: dict[str, str]) -> pl.DataFrame:
        known = self._recent.rows
        new = sorted(uri for name, uri in fresh.items() if known is None or name not in self._recent.names)
        frame = read.files(self._table, opened, new, path_column=_PATH).select(*self._columns, _PATH)
        rows = read.collect(frame, self._table.uri)
        if known is None:
            return rows
        kept = known.filter(pl.col(_PATH).str.split("/").list.last().is_in(list(fresh)))
        return pl.concat([kept, rows]) if rows.height else kept


class _Recent:
    """Files that no index covers: their names, the versions that brought them, and their rows (None: too many)."""

    def __init__(
        self,
        named: frozenset[str] = frozenset(),
        versions: dict[str, int] | None = None,
        rows: pl.DataFrame | None = None,
        uris: list[str] | None = None,
    ) -> None:
        self.names = named
        self.versions = versions or {}
        self.rows = rows
        self.uris = uris or []


class _Seen(NamedTuple):
    """The table at one moment: a snapshot, its files with their statistics, what no index covers, and the index."""

    opened: DeltaTable
    actions: pa.Table
    recent: _Recent
    manifest: Manifest


def _may_hold(actions: pa.Table, entry: dict[str, Any]) -> list[str]:
    """Paths of the files whose day, partitions and offsets span the entry's."""
    chosen = pc.equal(actions.column("partition.event_date"), pa.scalar(entry["event_date"]))
    for name in ("kafka_partition", "kafka_offset"):
        value = entry[name]
        spans = pc.and_(
            pc.less_equal(actions.column(f"min.{name}"), value), pc.greater_equal(actions.column(f"max.{name}"), value)
        )
        # A file without statistics may hold anything.
        chosen = pc.and_(chosen, pc.fill_null(spans, fill_value=True))
    return [unquote(path) for path in actions.filter(chosen).column("path").to_pylist()]


def _row_count(actions: pa.Table, fresh: dict[str, str]) -> int:
    counts = zip(actions.column("path").to_pylist(), actions.column("num_records").to_pylist(), strict=True)
    return sum(rows or 0 for path, rows in counts if unquote(path.rpartition("/")[2]) in fresh)
