import uuid
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from lake import read, rollback, schema, versions
from lake.append import append_once
from lake.erasures import Erasure
from lake.errors import VersionGone
from lake.locks import hold
from lake.rollback import ROLLED_BACK, asked


@pytest.fixture
def table(lake, spec):
    table = lake.table("fruit", "feedback")
    table.ensure(schema.feedback(spec))
    return table


def wanted(lake, version):
    now = datetime.now(UTC)
    return asked(lake, "fruit", version, uuid.uuid4(), reason="a bad import", who="ana", at=now)


def offsets(lake, kind="feedback"):
    frame = read.of(lake, "fruit", kind).select("kafka_offset")
    return sorted(read.collect(frame, kind)["kafka_offset"])


def test_a_rollback_makes_a_new_version_equal_to_the_old(lake, table, rows):
    version = append_once(table, rows(0, 4), "feedback-events/0", 4).version
    append_once(table, rows(5, 9), "feedback-events/0", 9)
    done = rollback.rollback(lake, "fruit", wanted(lake, version))
    assert (done.state, done.version, done.labelled_rows) == ("done", version + 2, 5)
    assert offsets(lake) == [0, 1, 2, 3, 4]
    assert rollback.history(lake, "fruit") == [done]


def test_what_was_rolled_back_is_told_of_in_the_quarantine(lake, table, rows):
    version = append_once(table, rows(0, 4), "feedback-events/0", 4).version
    append_once(table, rows(5, 9), "feedback-events/0", 9)
    rollback.rollback(lake, "fruit", wanted(lake, version))
    aside = read.collect(read.quarantine(lake, "fruit"), "fruit")
    assert set(aside["reason"]) == {ROLLED_BACK}
    assert offsets(lake, "quarantine") == [5, 6, 7, 8, 9]


def test_reading_kafka_again_brings_no_row_back_and_later_rows_go_on_top(lake, table, rows):
    version = append_once(table, rows(0, 4), "feedback-events/0", 4).version
    append_once(table, rows(5, 9), "feedback-events/0", 9)
    rollback.rollback(lake, "fruit", wanted(lake, version))
    again = append_once(lake.table("fruit", "feedback"), rows(0, 11), "feedback-events/0", 11)
    assert again.rows_appended == 2
    assert offsets(lake) == [0, 1, 2, 3, 4, 10, 11]


def test_a_rollback_can_be_rolled_back(lake, table, rows):
    version = append_once(table, rows(0, 4), "feedback-events/0", 4).version
    full = append_once(table, rows(5, 9), "feedback-events/0", 9).version
    rollback.rollback(lake, "fruit", wanted(lake, version))
    rollback.rollback(lake, "fruit", wanted(lake, full))
    assert offsets(lake) == list(range(10))
    assert offsets(lake, "quarantine") == []


def test_columns_that_the_table_gained_stay(lake, table, rows, spec):
    version = append_once(table, rows(0, 1), "feedback-events/0", 1).version
    table.ensure(schema.feedback(spec).append(pa.field("height", pa.float64())))
    append_once(table, rows(2, 3), "feedback-events/0", 3)
    rollback.rollback(lake, "fruit", wanted(lake, version))
    assert "height" in read.feedback(lake, "fruit").collect_schema()
    assert offsets(lake) == [0, 1]


def test_a_version_whose_files_are_gone_is_refused_and_nothing_changes(lake, table, rows):
    version = append_once(table, rows(0, 1), "feedback-events/0", 1).version
    append_once(table, rows(2, 3), "feedback-events/0", 3)
    table.at(None).optimize.compact()
    table.at(None).vacuum(0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(VersionGone):
        rollback.rollback(lake, "fruit", wanted(lake, version))
    assert offsets(lake) == [0, 1, 2, 3]
    with pytest.raises(VersionGone, match="earlier"):
        wanted(lake, 99)


@pytest.mark.parametrize("restored", [False, True])
def test_what_a_crash_left_is_finished_or_given_up(lake, table, rows, restored):
    version = append_once(table, rows(0, 4), "feedback-events/0", 4).version
    append_once(table, rows(5, 9), "feedback-events/0", 9)
    begun = wanted(lake, version)
    rollback._write(lake, "fruit", begun)
    with hold(lake, "fruit", "feedback", "test") as lock:
        if restored:
            rollback._restored(lake, "fruit", begun, lock)
        else:
            rollback._mark(lake, "fruit", begun, table.at(None), table.at(version))
        rollback.finish(lake, "fruit", lock)
    (one,) = rollback.history(lake, "fruit")
    assert one.state == ("done" if restored else "abandoned")
    assert offsets(lake) == (list(range(5)) if restored else list(range(10)))
    assert offsets(lake, "quarantine") == ([5, 6, 7, 8, 9] if restored else [])


def test_erasures_are_carried_out_again_on_what_was_restored(lake, table, rows):
    version = append_once(table, rows(0, 4), "feedback-events/0", 4).version
    now = datetime.now(UTC)
    stone = lake.erasures.ask("a user's hash", uuid.uuid4(), now, "ana")
    lake.erasures.note(Erasure(stone.erasure_id, now, "ana", completed_at=now))
    append_once(table, rows(5, 9), "feedback-events/0", 9)
    assert lake.erasures.pending() == []
    rollback.rollback(lake, "fruit", wanted(lake, version))
    assert [one.erasure_id for one in lake.erasures.pending()] == [stone.erasure_id]


def test_the_log_says_what_the_rollback_was(lake, table, rows):
    version = append_once(table, rows(0, 4), "feedback-events/0", 4).version
    append_once(table, rows(5, 9), "feedback-events/0", 9)
    rollback.rollback(lake, "fruit", wanted(lake, version))
    newest = versions.list_versions(table, 1)[0]
    assert newest.operation == "RESTORE"
    assert newest.flush[ROLLED_BACK]["reason"] == "a bad import"


def test_counting_goes_on_from_fewer_rows_only_where_a_rollback_came_after(lake, table, rows):
    version = append_once(table, rows(0, 4), "feedback-events/0", 4).version
    append_once(table, rows(5, 9), "feedback-events/0", 9)
    before = datetime.now(UTC)
    rollback.rollback(lake, "fruit", wanted(lake, version))
    assert rollback.counted_from(lake, "fruit", 10, before) == 5
    assert rollback.counted_from(lake, "fruit", 3, before) == 3
    assert rollback.counted_from(lake, "fruit", 10, datetime.now(UTC)) == 10
