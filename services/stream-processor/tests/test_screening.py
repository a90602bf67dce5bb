import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from features.profile import Fence, Profile
from lake.erasures import Tombstone, Tombstones
from stream_processor.application.screening import RELEASED_BY, Screens

from .test_flush import TOPIC, Knowledge, Record, Specs, decider, event, partition

ALICE = "a" * 32
RECEIVED = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROFILE = Screens(profiles={"flights": Profile({"distance": Fence(0.0, 10.0)})})
STONE = Tombstone(ALICE, str(uuid4()), RECEIVED, "operator")
ERASED = Screens(Tombstones([STONE]))


def decided(screens, *records, owner=None, in_dataset=()):
    knowledge = Knowledge(now=screens, in_dataset=set(in_dataset))
    return decider(Specs("flights"), knowledge).decide([(owner or partition(), list(records))], 0.0).flushes[0]


def far(number=0, **changes):
    return event(number, features={"distance": 50}, **changes)


def test_an_outlier_is_kept_apart_with_reason_and_score_and_the_others_go_on():
    flush = decided(PROFILE, Record(0, event(0)), Record(1, far(1)), Record(2, event(2)))
    assert flush.rows["kafka_offset"].to_pylist() == [0, 2]
    (held,) = flush.aside.to_pylist()
    assert held["event_id"] == str(UUID(int=1))
    assert held["reason"].startswith("outlier: distance is 50;")
    assert held["score"] == pytest.approx(4.0)
    assert json.loads(held["record"])["features"] == {"distance": 50}
    assert flush.shares({}, count_quality=True)[0].quarantined == 1


def test_an_outlier_names_nobody_though_its_producer_did():
    (held,) = decided(PROFILE, Record(0, far(0, user_id="alice"))).aside.to_pylist()
    assert "alice" not in held["record"]


def test_without_a_profile_nothing_is_an_outlier():
    assert decided(Screens(), Record(0, far())).rows.num_rows == 1


def test_a_released_event_is_stored_once_though_the_quarantine_holds_it():
    owner = partition()
    headers = [(RELEASED_BY, b"operator")]
    assert decided(PROFILE, Record(0, far()), owner=owner).aside.num_rows == 1
    assert decided(PROFILE, Record(1, far()), owner=owner).duplicates[0].tolist() == [1]
    twice = decided(PROFILE, Record(2, far(), headers=headers), Record(3, far(), headers=headers), owner=owner)
    assert twice.rows["kafka_offset"].to_pylist() == [2]
    assert twice.duplicates[0].tolist() == [3]
    again = decided(PROFILE, Record(4, far(), headers=headers), owner=owner)
    assert (again.rows.num_rows, again.duplicates[0].tolist()) == (0, [4])


def test_a_release_that_the_dataset_holds_already_is_a_duplicate():
    owner = partition()
    decided(PROFILE, Record(0, far()), owner=owner)
    released = Record(9, far(), headers=[(RELEASED_BY, b"operator")])
    assert decided(PROFILE, released, owner=owner, in_dataset=[str(UUID(int=0))]).rows.num_rows == 0


def test_a_release_does_not_let_in_what_the_spec_refuses():
    owner = partition()
    wrong = event(0, label="tardy")
    decided(PROFILE, Record(0, wrong), owner=owner)
    flush = decided(PROFILE, Record(1, wrong, headers=[(RELEASED_BY, b"operator")]), owner=owner)
    assert (flush.rows.num_rows, flush.aside.num_rows, flush.duplicates[0].tolist()) == (0, 0, [1])


def test_words_of_an_erased_user_that_were_still_in_kafka_leave_only_a_marker():
    earlier, later = event(0, user_hash=ALICE), event(1, user_hash=ALICE, received_at="2026-03-01T12:00:00.000001Z")
    flush = decided(ERASED, Record(0, earlier), Record(1, later), Record(2, event(2)))
    assert flush.rows["kafka_offset"].to_pylist() == [1, 2]
    (marker,) = flush.aside.to_pylist()
    assert (marker["event_id"], marker["reason"], marker["record"]) == (str(UUID(int=0)), "erased", STONE.marker)


@pytest.mark.parametrize("wrong", [{"label": "tardy"}, {"features": {"distance": -1}}])
def test_what_does_not_fit_is_erased_too(wrong):
    (marker,) = decided(ERASED, Record(0, event(0, user_hash=ALICE, **wrong))).aside.to_pylist()
    assert (marker["reason"], marker["record"]) == ("erased", STONE.marker)


def test_a_release_does_not_bring_back_what_is_erased():
    released = Record(0, event(0, user_hash=ALICE), headers=[(RELEASED_BY, b"operator")])
    flush = decided(ERASED, released)
    assert (flush.rows.num_rows, flush.aside.num_rows) == (0, 1)


def test_the_fate_of_a_record_does_not_depend_on_what_comes_beside_it():
    records = [Record(at, far(at) if at % 3 == 0 else event(at)) for at in range(12)]
    together = decided(PROFILE, *records)
    alone = [decided(PROFILE, record) for record in records]
    assert together.rows["event_id"].to_pylist() == [id_ for one in alone for id_ in one.rows["event_id"].to_pylist()]
    assert together.aside["record"].to_pylist() == [r for one in alone for r in one.aside["record"].to_pylist()]
    assert together.topic == TOPIC
