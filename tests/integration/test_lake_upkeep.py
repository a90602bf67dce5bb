"""Upkeep and rollback on a real S3, beside appends and readers."""

import threading
import uuid
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl
import pytest

from flywheel_schemas.spec_model import RetentionPolicy
from lake import Lake, errors, read, rollback, schema, versions
from lake.append import append_once, transaction_id, watermarks
from lake.locate import Events
from lake.pins import Pins
from lake.upkeep import SMALL_FILES_OF_TODAY, keep_up
from tests.integration.test_lake_exactly_once import SPEC, flush_all, rows, settings, stored

AT_ONCE = RetentionPolicy(vacuum_after=timedelta(0))


@pytest.fixture
def lake(fresh_env: dict[str, str]) -> Lake:
    lake = Lake(settings(fresh_env))
    lake.ensure_bucket()
    lake.table("fruit", "feedback").ensure(schema.feedback(SPEC))
    return lake


def event_id(offset: int, partition: int = 0) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{partition}/{offset}"))


def test_compaction_and_rollback_beside_appends_lose_and_double_nothing(lake):
    """What is in the dataset and what was rolled back are together every row once, whoever raced whom."""
    flush_all(lake.settings, 0, 4, 5)
    table = lake.table("fruit", "feedback")
    version = int(table.at(None).version())
    writers = [threading.Thread(target=flush_all, args=(lake.settings, p, 20, 5)) for p in (1, 2)]
    for writer in writers:
        writer.start()
    compacted = 0
    while any(writer.is_alive() for writer in writers):
        compacted += sum(
            one.compacted for one in keep_up(lake, "fruit", RetentionPolicy(), datetime.now(UTC), full=False)
        )
    for writer in writers:
        writer.join()
    assert compacted > 0
    everything = [(0, offset) for offset in range(20)] + [(p, offset) for p in (1, 2) for offset in range(100)]
    assert stored(lake) == everything

    writer = threading.Thread(target=flush_all, args=(lake.settings, 3, 15, 5))
    writer.start()
    asked = rollback.asked(lake, "fruit", version, uuid.uuid4(), reason="test", who="test", at=datetime.now(UTC))
    rollback.rollback(lake, "fruit", asked)
    writer.join()
    marks = read.collect(read.quarantine(lake, "fruit").select("kafka_partition", "kafka_offset"), "fruit").rows()
    assert sorted([*stored(lake), *marks]) == [*everything, *[(3, offset) for offset in range(75)]]

    # Kafka read again from the start: a new process, every partition.
    for partition in range(4):
        flush_all(lake.settings, partition, (4, 20, 20, 15)[partition], 5)
    assert sorted([*stored(lake), *marks]) == [*everything, *[(3, offset) for offset in range(75)]]


def test_a_pinned_set_stays_readable_when_vacuum_took_the_version_it_came_from(lake):
    flush_all(lake.settings, 0, SMALL_FILES_OF_TODAY, 2)
    table = lake.table("fruit", "feedback")
    version = int(table.at(None).version()) - 5
    reader = read.feedback(lake, "fruit", version)
    pins = Pins(lake, "fruit")
    pins.keep("abc", read.collect(reader.select("event_id", "label"), "fruit"))
    keep_up(lake, "fruit", RetentionPolicy(), datetime.now(UTC), full=True)
    # Within vacuum_after a reader of an old version goes on; afterwards it is told what happened.
    held = read.collect(read.feedback(lake, "fruit", version), "fruit").height
    (done,) = [one for one in keep_up(lake, "fruit", AT_ONCE, datetime.now(UTC), full=True) if one.table == "feedback"]
    assert done.vacuumed >= SMALL_FILES_OF_TODAY
    with pytest.raises(errors.VersionGone, match="vacuum"):
        read.collect(read.feedback(lake, "fruit", version), "fruit")
    kept = pins.rows("abc")
    assert kept is not None
    assert kept.collect().height == held
    assert pins.holds("abc", event_id(0))
    assert not pins.holds("abc", event_id(10_000))
    app_id = transaction_id("feedback-events", 0)
    assert watermarks(table.snapshot(fresh=True), [app_id])[app_id] == 2 * SMALL_FILES_OF_TODAY - 1


def test_an_event_is_found_before_and_after_it_is_indexed_and_other_readers_see_the_table(lake):
    table, app_id = lake.table("fruit", "feedback"), transaction_id("feedback-events", 0)
    events = Events(lake)
    held = [append_once(table, rows(k * 3, k * 3 + 2), app_id, k * 3 + 2).version for k in range(4)]
    for _ in range(2):
        for k, version in enumerate(held):
            found = events.find(event_id(k * 3 + 1), ["fruit"])
            assert found is not None
            assert (found.dataset_version, found.kafka_offset) == (version, k * 3 + 1)
        assert events.find(str(uuid.uuid4()), ["fruit"]) is None
        keep_up(lake, "fruit", RetentionPolicy(), datetime.now(UTC), full=False)
        events = Events(lake)
    assert versions.row_count(table) == 12
    read_by_duckdb = table.at(None).to_pyarrow_dataset()  # noqa: F841 - DuckDB finds it by its name
    assert duckdb.sql("select count(distinct event_id) from read_by_duckdb").limit(1).fetchall() == [(12,)]
    assert read.collect(read.feedback(lake, "fruit").select(pl.len()), "fruit").item() == 12
