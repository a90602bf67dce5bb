"""Carrying out erasures in a model's tables. Every step may be repeated after a crash, and then does what is left.

An erased piece of feedback leaves a marker in the quarantine: its event id, without content or user. So its status can
be told, a client that sends it again is told apart from news, and each acknowledged event still is in one place.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa

from lake import locks, read, schema
from lake.append import append_absent, transaction_id
from lake.erasures import ERASED, Tombstone
from lake.errors import Conflict
from lake.lake import Lake
from lake.table import LakeTable

_TRIES = 20
_WAIT_S = 30.0


def events_of(lake: Lake, model: str, stone: Tombstone) -> set[str]:
    """Event ids of the feedback that the tombstone covers, erased already or not yet."""
    found: set[str] = set()
    if (table := lake.table(model, "feedback")).exists():
        frame = read.scan(table).filter(
            (pl.col("user_hash") == stone.user_hash) & (pl.col("received_at") <= stone.erased_before)
        )
        found |= set(read.collect(frame.select("event_id"), table.uri)["event_id"])
    if (table := lake.table(model, "quarantine")).exists():
        frame = read.scan(table).filter((pl.col("reason") == ERASED) & (pl.col("record") == stone.marker))
        found |= set(read.collect(frame.select("event_id"), table.uri)["event_id"])
    return found


def erase(lake: Lake, model: str, stone: Tombstone, topic: str) -> dict[str, int]:
    """Take everything that the tombstone covers out of the model's tables; rows taken now, by table.

    `topic` is the one that feedback comes in by. Raises lake errors; Conflict where today's appends kept winning.
    """
    _mark(lake, model, stone, topic)
    mine = f"user_hash = '{stone.user_hash}'"
    counts = {kind: _delete(lake, model, kind, f"{mine} AND {_covered(stone)}") for kind in ("feedback", "predictions")}
    counts["quarantine"] = _blank(lake, model, stone)
    return {kind: rows for kind, rows in counts.items() if rows}


def _mark(lake: Lake, model: str, stone: Tombstone, topic: str) -> None:
    table = lake.table(model, "feedback")
    if not table.exists():
        return
    columns = ["event_id", "kind", "received_at", "kafka_partition", "kafka_offset", "event_date"]
    frame = read.scan(table).filter(
        (pl.col("user_hash") == stone.user_hash) & (pl.col("received_at") <= stone.erased_before)
    )
    rows = read.collect(frame.select(columns), table.uri)
    if rows.is_empty():
        return
    rows = rows.with_columns(
        pl.lit(ERASED).alias("reason"), pl.lit(None, pl.Float64).alias("score"), pl.lit(stone.marker).alias("record")
    )
    quarantine = lake.table(model, "quarantine")
    quarantine.ensure(schema.quarantine())
    wanted = schema.quarantine()
    marks = pa.table({name: rows[name].to_arrow() for name in wanted.names}).cast(wanted)
    last = rows.group_by("kafka_partition").agg(pl.col("kafka_offset").max()).rows()
    append_absent(quarantine, marks, {transaction_id(topic, partition): offset for partition, offset in last})


def _delete(lake: Lake, model: str, kind: schema.Kind, covered: str) -> int:
    table = lake.table(model, kind)
    if not table.exists():
        return 0
    # Past days meet no appends; today's may lose against them, and is tried again.
    today = f"DATE '{datetime.now(UTC) - timedelta(minutes=5):%Y-%m-%d}'"
    rows = 0
    with locks.hold(lake, model, kind, "erasure", wait_s=_WAIT_S) as lock:
        for days in (f"event_date < {today}", f"event_date >= {today}"):
            rows += _retried(table, lambda days=days: _rows_deleted(table, lock, f"{days} AND {covered}"))  # type: ignore[misc]
    return rows


def _rows_deleted(table: LakeTable, lock: locks.TableLock, predicate: str) -> int:
    lock.check()
    return table.delete(predicate, lock.commit({"flywheel.operation": "erasure"}))


def _blank(lake: Lake, model: str, stone: Tombstone) -> int:
    table = lake.table(model, "quarantine")
    if not table.exists():
        return 0
    predicate = f"record LIKE '%{stone.user_hash}%' AND {_covered(stone)}"
    with locks.hold(lake, model, "quarantine", "erasure", wait_s=_WAIT_S) as lock:

        def blank() -> int:
            lock.check()
            blanked = {"reason": f"'{ERASED}'", "record": f"'{stone.marker}'", "score": "CAST(NULL AS DOUBLE)"}
            return table.update(blanked, predicate, lock.commit({"flywheel.operation": "erasure"}))

        return _retried(table, blank)


def _retried(table: LakeTable, step: Callable[[], int]) -> int:
    for _ in range(_TRIES - 1):
        try:
            return step()
        except Conflict:
            table.forget()
    return step()


def _covered(stone: Tombstone) -> str:
    moment = stone.erased_before.astimezone(UTC)
    return f"received_at <= arrow_cast('{moment:%Y-%m-%dT%H:%M:%S.%f}Z', 'Timestamp(Microsecond, Some(\"UTC\"))')"
