"""The versions of a table: when each was made, what it added, how many rows it holds."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lake.errors import translated
from lake.table import LakeTable

# Delta keeps what a commit says about itself as text under one key of ours.
METADATA_KEY = "flywheel"


@dataclass(frozen=True, slots=True)
class Version:
    """One commit. `flush` is what the processor said about it (counts and quality per partition); {} for others."""

    version: int
    committed_at: datetime
    operation: str
    rows_added: int
    flush: Mapping[str, Any] = field(default_factory=dict)

    @property
    def note(self) -> str | None:
        """Why, where a person asked for it."""
        asked = self.flush.get("rolled_back")
        return f"back to {asked['to_version']}: {asked['reason']}" if asked else None

    @property
    def who(self) -> str | None:
        """Who asked for it, where a person did."""
        asked = self.flush.get("rolled_back")
        return asked.get("who") if asked else None


@dataclass(frozen=True, slots=True)
class Size:
    """The newest version of a table: its number, its rows, its files and their size."""

    version: int
    rows: int
    files: int
    size_bytes: int


def size(table: LakeTable) -> Size:
    """How large the table is, from the log alone."""
    opened = table.at(None)
    actions = pa.table(opened.get_add_actions(flatten=True))
    total = pc.sum(actions.column("size_bytes")).as_py() if actions.num_rows else 0
    return Size(int(opened.version()), _count(opened, None), actions.num_rows, int(total or 0))


def list_versions(table: LakeTable, limit: int | None = None) -> list[Version]:
    """The versions that the log still tells of, newest first."""
    if not table.exists():
        return []
    with translated(table.uri):
        return [_version(entry) for entry in table.at(None).history(limit)]


def walk(table: LakeTable, page: int = 20) -> Iterator[Version]:
    """`list_versions`, read in growing pages so that whoever needs only the newest reads little."""
    seen = 0
    while True:
        found = list_versions(table, page)
        yield from found[seen:]
        if len(found) < page:
            return
        seen, page = len(found), page * 4


def row_count(table: LakeTable, version: int | None = None) -> int:
    """Rows of the table at `version` (None: the newest), counted from the log alone."""
    return _count(table.at(version), None)


def labelled_count(table: LakeTable, version: int | None = None) -> tuple[int, int]:
    """(version, rows that carry a label), counted from the log's statistics alone."""
    opened = table.at(version)
    return int(opened.version()), labelled_in(opened)


def labelled_in(opened: DeltaTable) -> int:
    """Rows of an opened feedback table that carry a label, counted from the log's statistics alone."""
    return _count(opened, "label")


def _count(opened: DeltaTable, column: str | None) -> int:
    actions = pa.table(opened.get_add_actions(flatten=True))
    if not actions.num_rows:
        return 0
    rows = pc.sum(actions.column("num_records")).as_py() or 0
    if column is None:
        return int(rows)
    nulls = f"null_count.{column}"
    return int(rows - ((pc.sum(actions.column(nulls)).as_py() or 0) if nulls in actions.column_names else 0))


def _version(entry: Mapping[str, Any]) -> Version:
    metrics = entry.get("operationMetrics") or {}
    said = entry.get(METADATA_KEY)
    return Version(
        version=int(entry["version"]),
        committed_at=datetime.fromtimestamp(entry.get("timestamp", 0) / 1000, UTC),
        operation=str(entry.get("operation", "")),
        rows_added=int(metrics.get("num_added_rows", 0)),
        flush=json.loads(said) if isinstance(said, str) else {},
    )
