"""Keeping a table quick and its files few: indexed, compacted, vacuumed, its log cut. Appends go on meanwhile.

Each step is one Delta commit or one object, so a crash leaves a table that the next upkeep finishes. Compaction beside
appends loses nothing: it only moves rows, and where it conflicts its own work is dropped. Today's small files are
merged when they are many, closed days whenever there is more than one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa
from deltalake import DeltaTable

from flywheel_schemas.spec_model import RetentionPolicy
from lake import locks, rollback
from lake.errors import Conflict, translated
from lake.event_index import EventIndex
from lake.lake import Lake
from lake.schema import Kind
from lake.table import LakeTable

KINDS: tuple[Kind, ...] = ("feedback", "predictions", "quarantine", "base")
TARGET_BYTES = 128 * 1024 * 1024
# Opening and reading grow with the files; merging costs a rewrite of the day's rows below TARGET_BYTES.
SMALL_FILES_OF_TODAY = 32
_MIDNIGHT = timedelta(minutes=5)
_LOG = timedelta(days=30)
_DEFAULTS = {
    "delta.deletedFileRetentionDuration": "interval 168 hours",
    "delta.logRetentionDuration": "interval 720 hours",
}


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What was done to one table. `busy` names who held its lock, so that nothing was done."""

    table: Kind
    files: int = 0
    compacted: int = 0
    indexed: int = 0
    vacuumed: int = 0
    busy: str | None = None


def keep_up(lake: Lake, model: str, retention: RetentionPolicy, now: datetime, *, full: bool) -> list[Upkeep]:
    """Tend every table of the model that exists; `full` also removes files that no version ever named.

    Raises LakeUnavailable, and LockLost where this process slept; doing it again goes on from there.
    """
    return [_tend(lake, model, kind, retention, now, full=full) for kind in KINDS if lake.table(model, kind).exists()]


def days_to_compact(files: Iterable[tuple[date | None, int]], now: datetime) -> list[date | None]:
    """Days (None: a table without days) worth compacting, given (day, bytes) of each file; the newest first."""
    small: dict[date | None, int] = defaultdict(int)
    for day, size in files:
        small[day] += size < TARGET_BYTES
    open_from = (now - _MIDNIGHT).date()
    needed = {day: SMALL_FILES_OF_TODAY if day is not None and day >= open_from else 2 for day in small}
    # The newest first: its files are those that the index has just covered, before more are appended.
    return sorted((day for day, n in small.items() if n >= needed[day]), key=lambda day: day or date.min, reverse=True)


def _tend(lake: Lake, model: str, kind: Kind, retention: RetentionPolicy, now: datetime, *, full: bool) -> Upkeep:
    table = lake.table(model, kind)
    try:
        with locks.hold(lake, model, kind, "upkeep") as lock:
            if kind == "feedback":
                rollback.finish(lake, model, lock)
            _configure(table, lock, retention)
            opened = table.at(None)
            index = EventIndex(lake, model, kind)
            indexed = index.extend(opened, lock)
            compacted = _compact(index, table, opened, lock, now)
            vacuumed = _vacuum(table, lock, retention, full=full)
            return Upkeep(kind, len(table.at(None).file_uris()), compacted, indexed, vacuumed)
    except locks.LockHeld as exc:
        return Upkeep(kind, busy=str(exc))


def _configure(table: LakeTable, lock: locks.TableLock, retention: RetentionPolicy) -> None:
    """Let Delta keep removed files and its log as long as the spec says that old versions can be read."""
    hours = int(retention.vacuum_after.total_seconds() // 3600)
    log_hours = int(max(retention.vacuum_after, _LOG).total_seconds() // 3600)
    wanted = dict(zip(_DEFAULTS, (f"interval {hours} hours", f"interval {log_hours} hours"), strict=True))
    opened = table.at(None)
    if {name: opened.metadata().configuration.get(name, default) for name, default in _DEFAULTS.items()} != wanted:
        with translated(table.uri):
            opened.alter.set_table_properties(wanted, commit_properties=lock.commit())
        table.forget()


def _compact(index: EventIndex, table: LakeTable, opened: DeltaTable, lock: locks.TableLock, now: datetime) -> int:
    """Merge small files of the snapshot that was indexed; how many files went."""
    gone = 0
    for day in days_to_compact(_files(opened), now):
        lock.check()
        filters = [("event_date", "=", day.isoformat())] if day else None
        try:
            with translated(table.uri):
                done = opened.optimize.compact(
                    partition_filters=filters,
                    target_size=TARGET_BYTES,
                    writer_properties=table.writer_properties(),
                    commit_properties=lock.commit(),
                )
        except Conflict:
            # Somebody took the very files away (an erasure, a rollback by hand): what was merged is dropped.
            opened = table.at(None)
            continue
        gone += int(done["numFilesRemoved"])
        index.follow(int(opened.version()), lock)
    if gone:
        with translated(table.uri):
            table.at(None).create_checkpoint()
        table.forget()
    return gone


def _files(opened: DeltaTable) -> list[tuple[date | None, int]]:
    actions = pa.table(opened.get_add_actions(flatten=True))
    days = "partition.event_date"
    by_day = actions.column(days).to_pylist() if days in actions.column_names else [None] * actions.num_rows
    return list(zip(by_day, actions.column("size_bytes").to_pylist(), strict=True))


def _vacuum(table: LakeTable, lock: locks.TableLock, retention: RetentionPolicy, *, full: bool) -> int:
    """Remove files that were replaced longer ago than the spec keeps them; how many."""
    lock.check()
    hours = int(retention.vacuum_after.total_seconds() // 3600)
    opened = table.at(None)
    how: Mapping[str, bool] = {
        "enforce_retention_duration": False,
        "full": full and retention.vacuum_after >= timedelta(days=7),
    }
    with translated(table.uri):
        if not opened.vacuum(hours, dry_run=True, **how):
            return 0
        removed = opened.vacuum(hours, dry_run=False, commit_properties=lock.commit(), **how)
    table.forget()
    return len(removed)
