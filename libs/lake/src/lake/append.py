"""Appending exactly once, whoever else writes and whoever dies.

Each table carries application transactions: `topic/partition` with the last Kafka offset whose outcome it holds.
An append reads them from a snapshot, drops what the table already has, and commits rows and new offsets together
*from that same snapshot*: when another writer moved one of them meanwhile, the commit fails and starts over.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction

from lake import read
from lake.errors import Conflict
from lake.table import LakeTable, align

_ATTEMPTS = 30
Watermarks = Mapping[str, int]
Describe = Callable[[Watermarks], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What an append did. `found` are the watermarks that were there before it (-1: none), by transaction id."""

    version: int
    rows_appended: int
    committed: bool
    found: Watermarks


def transaction_id(topic: str, partition: int) -> str:
    """The id under which a table keeps the last offset of one partition."""
    return f"{topic}/{partition}"


def watermarks(snapshot: DeltaTable, ids: Mapping[str, int] | list[str]) -> dict[str, int]:
    """The last offset stored per transaction id; -1 where there is none."""
    found = {name: snapshot.transaction_version(name) for name in ids}
    return {name: -1 if offset is None else offset for name, offset in found.items()}


def append_once(
    table: LakeTable, rows: pa.Table, app_id: str, last_offset: int, metadata: Mapping[str, Any] | None = None
) -> AppendResult:
    """`append_all` for the rows of one partition; all rows are taken to be of `app_id`, in their `kafka_offset`."""
    return _append(table, {app_id: last_offset}, lambda _: metadata or {}, lambda found: _after(rows, found))


def append_all(table: LakeTable, rows: pa.Table, last_offsets: Mapping[str, int], describe: Describe) -> AppendResult:
    """Append those of `rows` that lie beyond what the table holds, and move its watermarks to `last_offsets`.

    `last_offsets` maps `topic/partition` (all of one topic) to the last offset that is decided by this append;
    rows carry kafka_partition and kafka_offset. `describe(found)` gives the commit's metadata, for what is left
    after the watermarks `found`. Without anything new there is no commit. Raises LakeUnavailable when the store
    is away (the rows may have been stored: calling again finds out), Conflict when others kept winning, Poison, Fatal.
    """
    return _append(table, last_offsets, describe, lambda found: _beyond(rows, found))


def append_absent(table: LakeTable, rows: pa.Table, last_offsets: Mapping[str, int]) -> AppendResult:
    """Append those of `rows` that the table does not hold by event_id, partition and offset, for sparse tables.

    Here a watermark only says that nothing lies beyond it: below it there may be gaps, which are filled. So a
    record may be decided anew, by another spec, after a crash. `last_offsets` as in `append_all`.
    """
    for attempt in range(_ATTEMPTS):
        snapshot = table.snapshot(fresh=attempt > 0)
        found = watermarks(snapshot, dict(last_offsets))
        new = _absent(table, snapshot, rows, found)
        if not new.num_rows:
            return AppendResult(int(snapshot.version()), 0, False, found)
        moves = [Transaction(name, max(offset, found[name])) for name, offset in last_offsets.items()]
        if (version := _commit(table, snapshot, new, CommitProperties(app_transactions=moves), attempt)) is not None:
            return AppendResult(version, new.num_rows, True, found)
    raise _lost(table)


def _append(
    table: LakeTable,
    last_offsets: Mapping[str, int],
    describe: Describe,
    beyond: Callable[[Watermarks], pa.Table],
) -> AppendResult:
    for attempt in range(_ATTEMPTS):
        snapshot = table.snapshot(fresh=attempt > 0)
        found = watermarks(snapshot, dict(last_offsets))
        moves = {name: offset for name, offset in last_offsets.items() if offset > found[name]}
        if not moves:
            return AppendResult(int(snapshot.version()), 0, False, found)
        new = align(beyond(found), snapshot)
        commit = CommitProperties(
            custom_metadata=dict(describe(found)),
            app_transactions=[Transaction(name, offset) for name, offset in moves.items()],
        )
        if (version := _commit(table, snapshot, new, commit, attempt)) is not None:
            return AppendResult(version, new.num_rows, True, found)
    raise _lost(table)


def _commit(
    table: LakeTable, snapshot: DeltaTable, rows: pa.Table, commit: CommitProperties, attempt: int
) -> int | None:
    """The new version, or None where another writer was quicker and a new snapshot is needed."""
    try:
        return table.append(snapshot, rows, commit)
    except Conflict:
        table.forget()
        time.sleep(random.uniform(0.0, 0.02) * min(attempt + 1, 10))  # noqa: S311 - spreads writers, hides nothing
        return None
    except Exception:
        # The commit may have landed all the same; only a new snapshot knows.
        table.forget()
        raise


def _lost(table: LakeTable) -> Conflict:
    return Conflict(f"{table.uri}: other writers won {_ATTEMPTS} times in a row; try again")


def _absent(table: LakeTable, snapshot: DeltaTable, rows: pa.Table, found: Watermarks) -> pa.Table:
    rows = align(rows, snapshot)
    lowest = {int(name.rpartition("/")[2]): watermark for name, watermark in found.items()}
    partitions, offsets = rows.column("kafka_partition").to_numpy(), rows.column("kafka_offset").to_numpy()
    doubtful = offsets <= np.array([lowest[int(partition)] for partition in partitions], dtype=np.int64)
    if not doubtful.any():
        return rows
    held = _held(table, int(snapshot.version()), int(offsets.min()))
    ids = rows.column("event_id").to_pylist()
    present = [(event, int(p), int(o)) in held for event, p, o in zip(ids, partitions, offsets, strict=True)]
    return rows.filter(pa.array(~np.array(present, dtype=bool)))


def _held(table: LakeTable, version: int, first_offset: int) -> set[tuple[str, int, int]]:
    frame = read.scan(table, version).filter(pl.col("kafka_offset") >= first_offset)
    return set(read.collect(frame.select("event_id", "kafka_partition", "kafka_offset"), table.uri).rows())


def _after(rows: pa.Table, found: Watermarks) -> pa.Table:
    (watermark,) = found.values()
    offsets = rows.column("kafka_offset").to_numpy()
    return rows if watermark < 0 or not rows.num_rows else rows.filter(pa.array(offsets > watermark))


def _beyond(rows: pa.Table, found: Watermarks) -> pa.Table:
    if not rows.num_rows:
        return rows
    partitions = rows.column("kafka_partition").to_numpy()
    offsets = rows.column("kafka_offset").to_numpy()
    stored = np.zeros(rows.num_rows, dtype=bool)
    for name, watermark in found.items():
        stored |= (partitions == int(name.rpartition("/")[2])) & (offsets <= watermark)
    return rows.filter(pa.array(~stored)) if stored.any() else rows
