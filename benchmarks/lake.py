"""The lake under many small flushes, and finding one event among a million."""

import statistics
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from benchmarks.results import Row
from flywheel_schemas.spec import parse_spec
from flywheel_schemas.spec_model import RetentionPolicy
from lake import Lake, LakeSettings, schema
from lake.append import append_once
from lake.locate import Events
from lake.upkeep import keep_up

SPEC = parse_spec("""
name: fruit
task: binary
label: {name: ripe, values: ["no", "yes"], positive: "yes"}
features: [{name: colour, type: category, values: [red, green]}, {name: weight, type: number}]
""")
FLUSHES, ROWS_A_FLUSH, UPKEEP_EVERY = 5_000, 5, 100
EVENTS, DAYS, LOOKUPS, RECENT_FLUSHES = 1_000_000, 30, 300, 60
_APP = "feedback-events/0"


def run(env: dict[str, str]) -> list[Row]:
    """Every row of this part."""
    return [*lookups(env), *small_flushes(env)]


def small_flushes(env: dict[str, str], flushes: int = FLUSHES) -> list[Row]:
    """Commit and open times after so many flushes of today, against those of a fresh table in the same run.

    Upkeep runs every UPKEEP_EVERY flushes, as the trainer's does once a minute beside one or two flushes a second.
    """
    old, fresh = _lake(env), _lake(env)
    for k in range(flushes):
        append_once(old.table("fruit", "feedback"), _rows(k * ROWS_A_FLUSH, ROWS_A_FLUSH), _APP, _last(k))
        if k % UPKEEP_EVERY == UPKEEP_EVERY - 1:
            keep_up(old, "fruit", RetentionPolicy(), datetime.now(UTC), full=False)
    commits: dict[str, list[float]] = {"old": [], "fresh": []}
    opens: dict[str, list[float]] = {"old": [], "fresh": []}
    # By turns, so that whatever else the machine does meets both alike.
    for k in range(60):
        for name, lake, first in (("old", old, flushes), ("fresh", fresh, 0)):
            table, n = lake.table("fruit", "feedback"), first + k
            rows = _rows(n * ROWS_A_FLUSH, ROWS_A_FLUSH)
            commits[name].append(_seconds(lambda t=table, r=rows, n=n: append_once(t, r, _APP, _last(n))))  # type: ignore[misc]
            opens[name].append(_seconds(lambda t=table: t.at(None)))  # type: ignore[misc]
    return [
        _ratio("bench.lake.commit_after_5000", commits, flushes),
        _ratio("bench.lake.open_after_5000", opens, flushes),
    ]


def lookups(env: dict[str, str], events: int = EVENTS) -> list[Row]:
    """Milliseconds to say where an event is, with a million in the lake and the last minute's flushes not indexed."""
    lake = _lake(env)
    per_day = events // DAYS
    for day in range(DAYS):
        when = date.today() - timedelta(days=DAYS - day)
        append_once(lake.table("fruit", "feedback"), _rows(day * per_day, per_day, when), _APP, (day + 1) * per_day - 1)
    keep_up(lake, "fruit", RetentionPolicy(), datetime.now(UTC), full=False)
    for k in range(RECENT_FLUSHES):
        first = events + k * ROWS_A_FLUSH
        append_once(lake.table("fruit", "feedback"), _rows(first, ROWS_A_FLUSH), _APP, first + ROWS_A_FLUSH - 1)
    finder, random = Events(lake), np.random.default_rng(7)
    first_s = _seconds(lambda: finder.find(_event_id(0), ["fruit"]))
    stored = [_event_id(int(n)) for n in random.integers(0, events + RECENT_FLUSHES * ROWS_A_FLUSH, LOOKUPS)]
    times = [_seconds(lambda e=e: _found(finder, e)) for e in stored]  # type: ignore[misc]
    absent = [_seconds(lambda: finder.find(str(uuid.uuid4()), ["fruit"])) for _ in range(LOOKUPS)]
    note = f"the first, which opens the table: {first_s * 1000:.0f} ms"
    return [
        _milliseconds("bench.lake.lookup.p50", times, 50, note),
        _milliseconds("bench.lake.lookup.p99", times, 99, note),
        _milliseconds("bench.lake.lookup_absent.p99", absent, 99, "an id that the lake does not hold"),
    ]


def _found(finder: Events, event_id: str) -> None:
    found = finder.find(event_id, ["fruit"])
    if found is None or found.dataset_version is None:
        raise RuntimeError(f"{event_id} was stored, and is not found with its version")


def _ratio(name: str, seconds: dict[str, list[float]], flushes: int) -> Row:
    old, fresh = (statistics.median(seconds[name]) * 1000 for name in ("old", "fresh"))
    note = f"median of 60, after {flushes} flushes of {ROWS_A_FLUSH} rows to one day, against a fresh table"
    return Row(name, round(old, 1), "ms", round(fresh, 1), round(old / fresh, 2), 60, note)


def _milliseconds(name: str, seconds: list[float], percentile: int, note: str) -> Row:
    return Row(name, round(float(np.percentile(seconds, percentile)) * 1000, 1), "ms", 50.0, None, len(seconds), note)


def _seconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def _lake(env: dict[str, str]) -> Lake:
    mine = {**env, "LAKE_URI": f"{env['LAKE_URI']}-bench-{uuid.uuid4().hex[:8]}"}
    lake = Lake(LakeSettings(**{k: v for k, v in mine.items() if k.startswith(("LAKE_", "S3_", "AWS_"))}))  # type: ignore[arg-type]
    lake.ensure_bucket()
    lake.table("fruit", "feedback").ensure(schema.feedback(SPEC))
    return lake


def _last(flush: int) -> int:
    return (flush + 1) * ROWS_A_FLUSH - 1


def _event_id(n: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(n)))


def _rows(first: int, n: int, day: date | None = None) -> pa.Table:
    received = datetime.combine(day, datetime.min.time(), UTC) if day else datetime.now(UTC)
    given = {
        "event_id": [_event_id(k) for k in range(first, first + n)],
        "prediction_id": [_event_id(-k) for k in range(first, first + n)],
        "user_hash": [_event_id(k % 9973) for k in range(first, first + n)],
        "label": ["yes"] * n,
        "kafka_partition": np.zeros(n, dtype=np.int32),
        "kafka_offset": np.arange(first, first + n),
        "received_at": [received] * n,
        "event_date": [received.date()] * n,
    }
    fields = schema.feedback(SPEC)
    arrays = [pa.array(given[f.name], f.type) if f.name in given else pa.nulls(n, f.type) for f in fields]
    return pa.Table.from_arrays(arrays, schema=fields)
