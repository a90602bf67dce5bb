import uuid
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pyarrow as pa
import pytest

from lake import erasing, locate, read, schema
from lake.append import append_all
from lake.erasures import Erasure, Tombstone, Tombstones

ALICE, BOB = "a" * 32, "b" * 32
THEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = THEN + timedelta(hours=1)


@pytest.fixture
def said(lake, spec):
    """Three words: of Alice before and after the moment of her wish, and of Bob."""
    lake.specs.put(spec)
    users, moments = [ALICE, BOB, ALICE], [THEN, THEN, LATER + timedelta(seconds=1)]
    ids = [str(uuid.uuid5(uuid.NAMESPACE_URL, str(i))) for i in range(3)]
    values = {name: [None] * 3 for name in schema.feedback(spec).names} | {
        "event_id": ids,
        "kind": ["example"] * 3,
        "label": ["yes"] * 3,
        "user_hash": users,
        "received_at": moments,
        "kafka_partition": [0] * 3,
        "kafka_offset": [0, 1, 2],
        "event_date": [date(2026, 3, 1)] * 3,
    }
    table = lake.table(spec.name, "feedback")
    table.ensure(schema.feedback(spec))
    append_all(table, pa.table(values, schema=schema.feedback(spec)), {"feedback-events/0": 2}, lambda _: {})
    return ids


def ask(lake):
    return lake.erasures.ask(ALICE, uuid.uuid4(), LATER, "operator")


def rows_of(lake, spec, kind):
    return read.collect(read.scan(lake.table(spec.name, kind)), "")


def test_at_once_every_reader_is_told_and_nobody_elses_words_are_touched(lake, spec, said):
    stone = ask(lake)
    frame = lake.erasures.tombstones().honoured(read.scan(lake.table(spec.name, "feedback")))
    assert frame.collect()["event_id"].to_list() == said[1:]
    assert erasing.events_of(lake, spec.name, stone) == {said[0]}
    found = locate.find_event(lake, said[0], [spec.name])
    assert found is not None
    assert (found.status, found.reason) == ("erased", "erased")


def test_what_is_erased_leaves_the_table_and_a_marker_without_content(lake, spec, said):
    stone = ask(lake)
    assert erasing.erase(lake, spec.name, stone, "feedback-events") == {"feedback": 1}
    assert sorted(rows_of(lake, spec, "feedback")["event_id"]) == sorted(said[1:])
    (marker,) = rows_of(lake, spec, "quarantine").to_dicts()
    assert (marker["event_id"], marker["reason"], marker["record"]) == (said[0], "erased", stone.marker)
    assert ALICE not in str(marker)
    assert locate.find_event(lake, said[0], [spec.name]).status == "erased"
    assert erasing.events_of(lake, spec.name, stone) == {said[0]}


def test_doing_it_again_after_a_crash_at_any_step_ends_the_same(lake, spec, said, monkeypatch):
    stone = ask(lake)
    with monkeypatch.context() as patched, pytest.raises(InterruptedError):
        patched.setattr(erasing, "_delete", _dies)
        erasing.erase(lake, spec.name, stone, "feedback-events")
    assert erasing.erase(lake, spec.name, stone, "feedback-events") == {"feedback": 1}
    assert erasing.erase(lake, spec.name, stone, "feedback-events") == {}
    assert rows_of(lake, spec, "quarantine").height == 1


def _dies(*_):
    raise InterruptedError


def test_a_quarantined_record_is_blanked(lake, spec, said):
    table = lake.table(spec.name, "quarantine")
    table.ensure(schema.quarantine())
    held = {
        "event_id": [str(uuid.uuid4())], "kind": ["example"], "reason": ["label: odd"], "score": [2.0],
        "record": [f'{{"user_hash":"{ALICE}","comment":"private"}}'], "received_at": [THEN],
        "kafka_partition": [1], "kafka_offset": [7], "event_date": [date(2026, 3, 1)],
    }  # fmt: skip
    append_all(table, pa.table(held, schema=schema.quarantine()), {"feedback-events/1": 7}, lambda _: {})
    stone = ask(lake)
    assert erasing.erase(lake, spec.name, stone, "feedback-events") == {"feedback": 1, "quarantine": 1}
    assert set(rows_of(lake, spec, "quarantine")["record"]) == {stone.marker}


def test_the_audit_record_outlives_the_tombstone_and_names_nobody(lake):
    stone = ask(lake)
    assert [one.completed_at for one in lake.erasures.records()] == [None]
    assert [one.erasure_id for one in lake.erasures.pending()] == [stone.erasure_id]
    lake.erasures.note(Erasure(stone.erasure_id, LATER, "operator", LATER, {"fruit": {"feedback": 1}}, {}))
    assert lake.erasures.pending() == []
    lake.erasures.forget(stone)
    (record,) = lake.erasures.records()
    assert record.rows == {"fruit": {"feedback": 1}}
    assert not any(ALICE.encode() in (lake.objects.get(key) or b"") for key in lake.objects.list("_flywheel/"))


def test_of_two_wishes_the_later_counts():
    early, late = (Tombstone(ALICE, str(uuid.uuid4()), moment, "x") for moment in (THEN, LATER))
    for stones in (Tombstones([early, late]), Tombstones([late, early])):
        assert stones.covering(ALICE, LATER) is late
        assert stones.covering(ALICE, LATER + timedelta(microseconds=1)) is None
        assert stones.covering(BOB, THEN) is None
        assert stones.covering(None, THEN) is None
        frame = pl.LazyFrame({"user_hash": [ALICE, None], "received_at": [THEN, THEN]})
        assert stones.honoured(frame).collect()["user_hash"].to_list() == [None]
