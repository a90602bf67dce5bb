import os
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest

from flywheel_schemas.spec_model import RetentionPolicy
from lake import read, schema, versions
from lake.append import append_once
from lake.errors import VersionGone
from lake.event_index import EventIndex
from lake.locks import hold
from lake.lookup import TableLookup
from lake.sorted_ids import SortedIds
from lake.upkeep import SMALL_FILES_OF_TODAY, TARGET_BYTES, days_to_compact, keep_up

TODAY, YESTERDAY = date(2026, 3, 2), date(2026, 3, 1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVENT_IDS = [str(uuid.uuid5(uuid.NAMESPACE_URL, f"0/{offset}")) for offset in range(10)]
AT_ONCE = RetentionPolicy(vacuum_after=timedelta(0))


@pytest.fixture
def table(lake, spec):
    table = lake.table("fruit", "feedback")
    table.ensure(schema.feedback(spec))
    return table


def offsets(lake):
    frame = read.feedback(lake, "fruit").select("kafka_offset")
    return sorted(read.collect(frame, "fruit")["kafka_offset"])


def fill(table, rows, first, last):
    return [append_once(table, rows(k, k), "feedback-events/0", k).version for k in range(first, last + 1)]


def test_closed_days_are_compacted_when_they_have_two_small_files_and_today_when_it_has_many():
    assert days_to_compact([(YESTERDAY, 1), (TODAY, 1), (TODAY, 1)], NOON) == []
    assert days_to_compact([(YESTERDAY, 1), (YESTERDAY, 1)], NOON) == [YESTERDAY]
    assert days_to_compact([(YESTERDAY, 1), (YESTERDAY, TARGET_BYTES)], NOON) == []
    assert days_to_compact([(TODAY, 1)] * SMALL_FILES_OF_TODAY, NOON) == [TODAY]
    assert days_to_compact([(None, 1), (None, 1)], NOON) == [None]


def test_a_day_is_open_for_some_minutes_after_midnight():
    files = [(YESTERDAY, 1), (YESTERDAY, 1)]
    assert days_to_compact(files, datetime(2026, 3, 2, 0, 4, tzinfo=UTC)) == []
    assert days_to_compact(files, datetime(2026, 3, 2, 0, 6, tzinfo=UTC)) == [YESTERDAY]


def test_upkeep_merges_files_and_loses_nothing(lake, table, rows):
    fill(table, rows, 0, 9)
    (done,) = keep_up(lake, "fruit", RetentionPolicy(), NOON, full=True)
    assert (done.files, done.compacted, done.vacuumed, done.busy) == (1, 10, 0, None)
    assert offsets(lake) == list(range(10))
    again = append_once(table, rows(5, 11), "feedback-events/0", 11)
    assert again.rows_appended == 2


def test_versions_stay_readable_until_vacuum_takes_their_files(lake, table, rows):
    version = fill(table, rows, 0, 9)[4]
    keep_up(lake, "fruit", RetentionPolicy(), NOON, full=True)
    assert read.collect(read.feedback(lake, "fruit", version), "fruit").height == 5
    (done,) = keep_up(lake, "fruit", AT_ONCE, NOON, full=True)
    assert done.vacuumed == 10
    with pytest.raises(VersionGone):
        read.collect(read.feedback(lake, "fruit", version), "fruit")
    assert offsets(lake) == list(range(10))


def test_the_log_is_cut_by_upkeep_and_never_by_an_append(lake, table, rows, tmp_path):
    fill(table, rows, 0, 19)
    log = tmp_path / "fruit" / "feedback" / "_delta_log"
    for written in log.glob("*.json"):
        os.utime(written, (0, 0))
    fill(table, rows, 20, 45)
    assert (log / f"{1:020}.json").exists()
    keep_up(lake, "fruit", RetentionPolicy(), NOON, full=False)
    assert not (log / f"{1:020}.json").exists()
    assert offsets(lake) == list(range(46))
    assert append_once(table, rows(40, 46), "feedback-events/0", 46).rows_appended == 1


def test_upkeep_with_nothing_to_do_commits_nothing(lake, table, rows):
    fill(table, rows, 0, 3)
    keep_up(lake, "fruit", RetentionPolicy(), NOON, full=True)
    before = versions.list_versions(table)[0].version
    keep_up(lake, "fruit", RetentionPolicy(), NOON, full=True)
    assert versions.list_versions(table)[0].version == before


def test_a_table_that_others_work_on_is_left_alone(lake, table, rows):
    fill(table, rows, 0, 3)
    with hold(lake, "fruit", "feedback", "erasure"):
        (done,) = keep_up(lake, "fruit", RetentionPolicy(), NOON, full=True)
    assert "erasure" in str(done.busy)
    assert len(table.at(None).file_uris()) == 4


def test_the_index_knows_the_version_that_first_held_an_event_through_compactions(lake, table, rows):
    held = fill(table, rows, 0, 5)
    keep_up(lake, "fruit", RetentionPolicy(), NOON, full=False)
    held += fill(table, rows, 6, 9)
    keep_up(lake, "fruit", RetentionPolicy(), NOON, full=False)
    index = EventIndex(lake, "fruit", "feedback")
    found = {}
    for key, _ in index.manifest().runs:
        for offset in range(10):
            if row := SortedIds(lake).find(key, EVENT_IDS[offset]):
                found[offset] = row["dataset_version"]
    assert found == dict(enumerate(held))
    assert index.manifest().covered == {uri.rpartition("/")[2] for uri in table.at(None).file_uris()}


def test_runs_are_merged_and_old_ones_removed_one_upkeep_later(lake, table, rows):
    for k in range(6):
        fill(table, rows, k, k)
        keep_up(lake, "fruit", RetentionPolicy(), NOON, full=False)
    keep_up(lake, "fruit", RetentionPolicy(), NOON, full=False)
    manifest = EventIndex(lake, "fruit", "feedback").manifest()
    assert sum(n for _, n in manifest.runs) == 6
    assert len(manifest.runs) <= 3
    stored = {key for key in lake.objects.list("fruit/_flywheel/event_index/") if key.endswith(".parquet")}
    assert stored == {key for key, _ in manifest.runs}


def test_a_lookup_kept_open_outlives_the_runs_that_it_knew(lake, table, rows):
    index = EventIndex(lake, "fruit", "feedback")

    def extend():
        with hold(lake, "fruit", "feedback", "test") as lock:
            index.extend(table.at(None), lock)

    fill(table, rows, 0, 4)
    extend()
    fill(table, rows, 5, 9)
    lookup = TableLookup(lake, "fruit", "feedback", ())
    assert lookup.find(EVENT_IDS[9])["kafka_offset"] == 9
    known = index.manifest()
    extend()
    extend()
    assert all(lake.objects.get(key) is None for key, _ in known.runs)
    assert [lookup.find(one)["kafka_offset"] for one in EVENT_IDS] == list(range(10))
    assert lookup.find(str(uuid.uuid4())) is None


def test_a_crash_between_compaction_and_index_leaves_files_that_are_indexed_next_time(lake, table, rows):
    fill(table, rows, 0, 5)
    with hold(lake, "fruit", "feedback", "test") as lock:
        opened = table.at(None)
        EventIndex(lake, "fruit", "feedback").extend(opened, lock)
        opened.optimize.compact()
    (done,) = keep_up(lake, "fruit", RetentionPolicy(), NOON, full=False)
    assert done.indexed == 6
    manifest = EventIndex(lake, "fruit", "feedback").manifest()
    assert sum(n for _, n in manifest.runs) == 6
