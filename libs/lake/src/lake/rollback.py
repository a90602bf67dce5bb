"""Taking a dataset back to an earlier version, as a new version: nothing that others wrote is rewritten.

The steps, each of which may be repeated: write down what is wanted; mark in the quarantine the events that will leave
the dataset (so that deduplication still knows them, and their status can be told); restore; give back the columns that
the table gained since, and let erasures be carried out anew. Watermarks survive a restore, so Kafka may be read again
from the start and brings no row back.
`finish` (upkeep calls it) completes what a crash left.
"""

import json
import random
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from flywheel_schemas.topics import FEEDBACK_EVENTS
from lake import diff, locks, read, schema, versions
from lake.append import append_absent, transaction_id
from lake.errors import Conflict, VersionGone
from lake.lake import Lake
from lake.table import LakeTable, arrow_schema

ROLLED_BACK = "rolled_back"
_ATTEMPTS = 40
_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Rollback:
    """One rollback of a model's feedback. `version` is the new version, equal to `to_version`; None while `begun`.

    `labelled_rows` is how many labelled rows the dataset has at `to_version`: counting goes on from there.
    """

    id: str
    to_version: int
    reason: str
    who: str
    at: datetime
    labelled_rows: int
    state: Literal["begun", "done", "abandoned"] = "begun"
    version: int | None = None


def preview(lake: Lake, model: str, to_version: int) -> diff.Diff:
    """What a rollback to `to_version` would change. Raises TableMissing, VersionGone."""
    table = lake.table(model, "feedback")
    return diff.diff(table, _newest_after(table, to_version), to_version)


def rollback(lake: Lake, model: str, wanted: Rollback) -> Rollback:
    """Make the model's feedback equal to `wanted.to_version` (see `asked`); what was done.

    Events that arrive meanwhile go on top or are rolled back with the rest. Raises VersionGone where files of that
    version have been removed (nothing is changed then), LockHeld, LakeUnavailable, and Conflict where appends kept
    winning: asking again is safe.
    """
    table = lake.table(model, "feedback")
    with locks.hold(lake, model, "feedback", f"rollback {wanted.id}", wait_s=_WAIT_S) as lock:
        _write(lake, model, wanted)
        columns = arrow_schema(table.at(None))
        try:
            version = _restored(lake, model, wanted, lock)
        except (VersionGone, Conflict):
            _write(lake, model, replace(wanted, state="abandoned"))
            raise
        table.ensure(columns)
        return _completed(lake, model, replace(wanted, version=version))


def asked(
    lake: Lake, model: str, to_version: int, rollback_id: UUID, *, reason: str, who: str, at: datetime
) -> Rollback:
    """The rollback that somebody asks for. Raises TableMissing, VersionGone."""
    table = lake.table(model, "feedback")
    _newest_after(table, to_version)
    _, labelled = versions.labelled_count(table, to_version)
    return Rollback(str(rollback_id), to_version, reason, who, at.astimezone(UTC), labelled)


def finish(lake: Lake, model: str, lock: locks.TableLock) -> None:
    """Complete the rollbacks that a crash left, under the lock of the feedback table."""
    for one in history(lake, model):
        if one.state != "begun":
            continue
        lock.check()
        version = _committed(lake.table(model, "feedback"), one)
        if version is None:
            _write(lake, model, replace(one, state="abandoned"))
        else:
            _completed(lake, model, replace(one, version=version))
    _tidy(lake, model)


def history(lake: Lake, model: str) -> list[Rollback]:
    """Every rollback of the model, oldest first."""
    prefix = f"{model}/_flywheel/rollbacks/"
    found = [_read(raw) for key in lake.objects.list(prefix) if (raw := lake.objects.get(key)) is not None]
    return sorted(found, key=lambda one: (one.at, one.id))


def _newest_after(table: LakeTable, to_version: int) -> int:
    newest = int(table.at(None).version())
    if to_version >= newest:
        raise VersionGone(f"{table.uri} is at version {newest}; roll back to an earlier one")
    return newest


def counted_from(lake: Lake, model: str, labelled_rows: int, since: datetime) -> int:
    """What counting new labelled rows starts from: `labelled_rows` at `since`, or fewer where a rollback came after."""
    later = [one.labelled_rows for one in history(lake, model) if one.at >= since and one.state != "abandoned"]
    return min([labelled_rows, *later])


def _restored(lake: Lake, model: str, wanted: Rollback, lock: locks.TableLock) -> int:
    table = lake.table(model, "feedback")
    target = table.at(wanted.to_version)
    for attempt in range(_ATTEMPTS):
        snapshot = table.at(None)
        _mark(lake, model, wanted, snapshot, target)
        lock.check()
        by = {"id": wanted.id, "to_version": wanted.to_version, "reason": wanted.reason, "who": wanted.who}
        said = json.dumps({ROLLED_BACK: by})
        try:
            return table.restore(snapshot, wanted.to_version, lock.commit({versions.METADATA_KEY: said}))
        except Conflict:
            time.sleep(random.uniform(0.0, 0.05) * min(attempt + 1, 10))  # noqa: S311 - gives appends room
    raise Conflict(f"{table.uri}: appends won {_ATTEMPTS} times in a row; nothing was rolled back, ask again")


def _mark(lake: Lake, model: str, wanted: Rollback, snapshot: DeltaTable, target: DeltaTable) -> None:
    """Quarantine what `snapshot` has and `target` has not, as it came: day, partition and offset."""
    table = lake.table(model, "feedback")
    new = set(snapshot.file_uris()) - set(target.file_uris())
    old = set(target.file_uris()) - set(snapshot.file_uris())
    columns = ["event_id", "kind", "received_at", "kafka_partition", "kafka_offset", "event_date"]
    leaving = read.collect(
        read.files(table, snapshot, sorted(new))
        .join(read.files(table, target, sorted(old)), on="event_id", how="anti")
        .select(columns),
        table.uri,
    )
    if leaving.is_empty():
        return
    record = json.dumps({ROLLED_BACK: wanted.id, "to_version": wanted.to_version})
    leaving = leaving.with_columns(reason=pl.lit(ROLLED_BACK), score=pl.lit(None, pl.Float64), record=pl.lit(record))
    quarantine, columns_ = lake.table(model, "quarantine"), schema.quarantine()
    quarantine.ensure(columns_)
    marks = pa.table({name: leaving[name].to_arrow() for name in columns_.names}).cast(columns_)
    last = leaving.group_by("kafka_partition").agg(pl.col("kafka_offset").max()).rows()
    topic = FEEDBACK_EVENTS.name
    append_absent(quarantine, marks, {transaction_id(topic, partition): offset for partition, offset in last})


def _completed(lake: Lake, model: str, one: Rollback) -> Rollback:
    _erase_again(lake)
    _tidy(lake, model)
    done = replace(one, state="done")
    _write(lake, model, done)
    return done


def _erase_again(lake: Lake) -> None:
    """Open the erasures whose tombstones stand: the restored version may hold their rows. Readers hide them already."""
    standing = {stone.erasure_id for stone in lake.erasures.tombstones().by_user.values()}
    for record in lake.erasures.records():
        if record.completed_at is not None and record.erasure_id in standing:
            lake.erasures.note(replace(record, completed_at=None))


def _tidy(lake: Lake, model: str) -> None:
    """Remove marks of events that are in the dataset: a later rollback went forward, or one broke off."""
    quarantine, feedback = lake.table(model, "quarantine"), lake.table(model, "feedback")
    if not quarantine.exists():
        return
    marks = read.scan(quarantine).filter(pl.col("reason") == ROLLED_BACK).select("event_id", "event_date")
    idle = read.collect(marks.join(read.scan(feedback), on="event_id", how="semi"), quarantine.uri)
    if idle.is_empty():
        return
    with locks.hold(lake, model, "quarantine", "rollback", wait_s=_WAIT_S) as lock:
        for ids in idle["event_id"].to_frame().iter_slices(1000):
            named = ", ".join(f"'{one}'" for one in ids["event_id"])
            quarantine.delete(f"reason = '{ROLLED_BACK}' AND event_id IN ({named})", lock.commit())


def _committed(table: LakeTable, wanted: Rollback) -> int | None:
    for version in versions.walk(table):
        if version.committed_at < wanted.at:
            return None
        if version.flush.get(ROLLED_BACK, {}).get("id") == wanted.id:
            return version.version
    return None


def _write(lake: Lake, model: str, one: Rollback) -> None:
    said = asdict(one) | {"at": one.at.isoformat()}
    lake.objects.put(f"{model}/_flywheel/rollbacks/{one.id}.json", json.dumps(said, sort_keys=True).encode())


def _read(raw: bytes) -> Rollback:
    said = json.loads(raw)
    return Rollback(**{**said, "at": datetime.fromisoformat(said["at"])})
