"""One Delta table: opened once, looked at through snapshots, created and widened to its schema."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import TableNotFoundError
from deltalake.schema import Field, Schema

from lake import schema as columns
from lake.errors import ColumnsMissing, LakeError, SchemaChanged, TableMissing, VersionGone, translate, translated

# An open DeltaTable gets slower with each commit that it makes or follows.
_COMMITS_BEFORE_RELOAD = 20
# A single row is read with its group, so groups are small; long scans do not mind.
_GROUP_ROWS = 16_384
_CONFIGURATION = {"delta.checkpointInterval": "20"}
# To find expired files of its log, Delta lists all of it; the commits of upkeep do so, appends need not.
_AFTER_APPEND = PostCommitHookProperties(cleanup_expired_logs=False)


class LakeTable:
    """A table of the lake. Safe to read from several threads; let one thread append at a time."""

    def __init__(self, uri: str, kind: columns.Kind, storage_options: dict[str, str]) -> None:
        self.uri = uri
        self.kind = kind
        self.storage_options = storage_options
        self._lock = threading.Lock()
        self._snapshot: DeltaTable | None = None
        self._uses = 0
        self._seen = False

    def exists(self) -> bool:
        """Whether the table has been created. Raises LakeUnavailable or AccessDenied."""
        if not self._seen:
            with translated(self.uri):
                self._seen = bool(DeltaTable.is_deltatable(self.uri, self.storage_options))
        return self._seen

    def ensure(self, schema: pa.Schema) -> None:
        """Create the table, or add the columns of `schema` that it lacks.

        A table that this object has seen is never created anew. Raises SchemaChanged where a column has another type.
        """
        if not self.exists():
            self._create(schema)
        self._widen(schema)

    def snapshot(self, *, fresh: bool = False) -> DeltaTable:
        """The table as it was when last loaded or appended to; `fresh` loads it anew. Raises TableMissing.

        Pass the very object to a write: what another writer committed since is then found at commit.
        """
        with self._lock:
            self._uses += 1
            if fresh or self._snapshot is None or self._uses > _COMMITS_BEFORE_RELOAD:
                self._snapshot = self.at(None)
                self._uses = 0
            return self._snapshot

    def forget(self) -> None:
        """Drop the snapshot; the next one is loaded."""
        with self._lock:
            self._snapshot = None

    def at(self, version: int | None) -> DeltaTable:
        """A new object of the table at `version` (None: the newest). Raises TableMissing or VersionGone."""
        try:
            with translated(self.uri):
                opened = DeltaTable(self.uri, version=version, storage_options=self.storage_options)
        except LakeError as exc:
            if version is None or isinstance(exc.__cause__, OSError):
                raise
            raise VersionGone(f"{self.uri} has no version {version} any more, or not yet") from exc
        self._seen = True
        return opened

    def append(self, snapshot: DeltaTable, rows: pa.Table, commit: CommitProperties) -> int:
        """Append `rows` to `snapshot` and give the new version. Raises Conflict, LakeUnavailable, Poison or Fatal."""
        with translated(self.uri):
            write_deltalake(
                snapshot,
                rows,
                mode="append",
                commit_properties=commit,
                post_commithook_properties=_AFTER_APPEND,
                writer_properties=self.writer_properties(),
            )
        return int(snapshot.version())

    def delete(self, predicate: str, commit: CommitProperties) -> int:
        """Rewrite the files without the rows that fit `predicate` (SQL), in one commit; how many went.

        Without any there is no commit. Raises Conflict where others appended to the same days meanwhile.
        """
        return self._rewritten("num_deleted_rows", lambda table: table.delete(predicate, commit_properties=commit))

    def update(self, values: Mapping[str, str], predicate: str, commit: CommitProperties) -> int:
        """As `delete`, with columns set to SQL expressions instead; how many rows were changed."""
        return self._rewritten(
            "num_updated_rows",
            lambda table: table.update(updates=dict(values), predicate=predicate, commit_properties=commit),
        )

    def _rewritten(self, figure: str, rewrite: Callable[[DeltaTable], Mapping[str, Any]]) -> int:
        with translated(self.uri):
            done = rewrite(self.at(None))
        self.forget()
        return int(done.get(figure) or 0)

    def restore(self, snapshot: DeltaTable, version: int, commit: CommitProperties) -> int:
        """Give the table the files and columns of `version` in one commit right after `snapshot`; the new version.

        Raises Conflict where anything was committed since, VersionGone where files of that version were removed.
        """
        try:
            with translated(self.uri):
                snapshot.restore(version, commit_properties=commit)
        except LakeError as exc:
            if "missing file" in str(exc):
                raise VersionGone(f"{self.uri}: files of version {version} have been removed by vacuum") from exc
            raise
        finally:
            self.forget()
        return int(snapshot.version())

    def replace(self, rows: pa.Table, metadata: dict[str, Any] | None = None) -> int:
        """Make `rows` the whole content, as a new version, and give its number. For the base table."""
        self.ensure(rows.schema)
        with translated(self.uri):
            table = self.at(None)
            write_deltalake(
                table,
                align(rows, table),
                mode="overwrite",
                commit_properties=CommitProperties(custom_metadata=metadata or {}),
                writer_properties=self.writer_properties(),
            )
        self.forget()
        return int(table.version())

    def _create(self, schema: pa.Schema) -> None:
        partitioned = [columns.PARTITION_COLUMN] if columns.PARTITION_COLUMN in schema.names else None
        configuration = _CONFIGURATION | {
            "delta.dataSkippingStatsColumns": ",".join(
                name for name in columns.STATISTICS[self.kind] if name in schema.names
            )
        }
        try:
            with translated(self.uri):
                DeltaTable.create(
                    self.uri,
                    schema,
                    mode="ignore",
                    partition_by=partitioned,
                    configuration=configuration,
                    storage_options=self.storage_options,
                )
        except LakeError:
            # Another worker may have created it in this moment; if so, it is there now.
            if not self.exists():
                raise
        self._seen = True

    def _widen(self, schema: pa.Schema) -> None:
        snapshot = self.snapshot()
        present = arrow_schema(snapshot)
        for field in schema:
            if field.name in present.names and not _same_type(present.field(field.name).type, field.type):
                raise SchemaChanged(
                    f"{self.uri}: column {field.name} is {present.field(field.name).type}, but the spec makes it "
                    f"{field.type}; give the feature a new name, or the model"
                )
        if missing := [field for field in schema if field.name not in present.names]:
            converted = Schema.from_arrow(pa.schema(missing)).fields
            with translated(self.uri):
                snapshot.alter.add_columns([Field(f.name, f.type, nullable=True) for f in converted])
            self.forget()

    def writer_properties(self) -> WriterProperties:
        """How files are written, by appends and compaction alike."""
        return WriterProperties(
            compression="ZSTD",
            compression_level=1,
            max_row_group_size=_GROUP_ROWS,
            column_properties={name: ColumnProperties(dictionary_enabled=False) for name in columns.NO_DICTIONARY},
        )


def arrow_schema(table: DeltaTable) -> pa.Schema:
    """The table's schema in pyarrow's types."""
    return pa.schema(table.schema().to_arrow())


def align(rows: pa.Table, table: DeltaTable) -> pa.Table:
    """`rows` with the table's columns in its order; those that `rows` lacks are null, of the table's type.

    Raises ColumnsMissing for a column that the table does not have, RowsRefused for values that do not fit.
    """
    target = arrow_schema(table)
    if rows.schema.equals(target):
        return rows
    if unknown := sorted(set(rows.schema.names) - set(target.names)):
        raise ColumnsMissing(f"{table.table_uri} has no column {', '.join(unknown)}; ensure the table's schema first")
    arrays = []
    for field in target:
        if field.name not in rows.schema.names:
            arrays.append(pa.nulls(rows.num_rows, field.type))
            continue
        try:
            arrays.append(rows.column(field.name).cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
            raise translate(ValueError(f"cast error in {field.name}: {exc}"), table.table_uri) from exc
    return pa.Table.from_arrays(arrays, schema=target)


def _same_type(one: pa.DataType, other: pa.DataType) -> bool:
    return (
        bool(one.equals(other))
        or str(one).replace("large_", "") == str(other).replace("large_", "")
        or (pa.types.is_map(one) and pa.types.is_map(other))
    )


__all__ = ["LakeTable", "TableMissing", "TableNotFoundError", "align", "arrow_schema"]
