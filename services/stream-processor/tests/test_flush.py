"""Deciding and settling, with fakes for the lake and the topics."""

import json
import threading
import uuid
from dataclasses import dataclass, field

import numpy as np
import pytest

from flywheel_schemas.spec import parse_spec
from kafka_runtime.errors import BrokerUnavailable
from lake.errors import LakeUnavailable, TableMissing
from stream_processor.adapters.formats import FeedbackFormat
from stream_processor.application.deciding import Decider
from stream_processor.application.flush import from_metadata, to_metadata
from stream_processor.application.partition import Partition
from stream_processor.application.ports import Appended
from stream_processor.application.recovering import Recovery, TopicRecreated
from stream_processor.application.screening import Screens
from stream_processor.application.settling import GaveUp, Patience, Settler, Stopping
from stream_processor.domain.seen import SeenIds, keys_of

TOPIC, SECRET = "feedback-events", (1, 2)
SPEC = """
name: {name}
task: binary
label: {{name: late, values: [on_time, late], positive: late}}
features:
  - {{name: distance, type: number, range: [0, 100]}}
"""


@dataclass
class Record:
    offset: int
    value: bytes | None
    partition: int = 0
    topic: str = TOPIC
    timestamp: int = 1_772_366_400_000
    key: bytes | None = b"k"
    headers: list = field(default_factory=list)


class Specs:
    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.reloads = 0

    def current(self):
        return {name: parse_spec(SPEC.format(name=name)) for name in self.names}

    def reload(self):
        self.reloads += 1
        return self.current()


def event(number: int = 0, **changes) -> bytes:
    body = {
        "event_id": str(uuid.UUID(int=number)),
        "model": "flights",
        "kind": "correction",
        "source": "api",
        "features": {"distance": 5},
        "label": "late",
        "predicted": "on_time",
        "model_version": "3",
        "audited": True,
        "occurred_at": "2026-03-01T12:00:00Z",
        "received_at": "2026-03-01T12:00:00Z",
    }
    return json.dumps({k: v for k, v in (body | changes).items() if v is not None}).encode()


def partition(number: int = 0, **known) -> Partition:
    return Partition(number, 0, SeenIds(1e9, 0.0), **{"watermarks": {"flights": -1}, **known})


@dataclass
class Knowledge:
    learned: list = field(default_factory=list)
    now: Screens = field(default_factory=Screens)
    in_dataset: set = field(default_factory=set)

    def learn(self, model, partitions):
        if partitions:
            self.learned.append((model, [one.number for one in partitions]))
        for one in partitions:
            one.watermarks[model] = -1

    def screens(self):
        return self.now

    def stored(self, model, event_ids):
        return self.in_dataset.intersection(event_ids)


def decider(specs: Specs, knowledge: Knowledge | None = None) -> Decider:
    return Decider(TOPIC, lambda rules: FeedbackFormat(rules, None), specs, SECRET, knowledge or Knowledge())


def decide(*values, specs=None, owner=None, first=0):
    records = [Record(first + at, value) for at, value in enumerate(values)]
    return decider(specs or Specs("flights")).decide([(owner or partition(), records)], 0.0)


def test_new_rows_carry_where_they_came_from():
    (flush,) = decide(event(1), event(2), first=40).flushes
    assert flush.rows["kafka_offset"].to_pylist() == [40, 41]
    assert flush.last_offsets() == {"feedback-events/0": 41}


def test_the_first_of_equal_ids_is_stored_whatever_the_later_say():
    (flush,) = decide(event(1), event(2), event(1, label="on_time")).flushes
    assert flush.rows["label"].to_pylist() == ["late", "late"]
    assert flush.duplicates[0].tolist() == [2]


def test_a_quarantined_id_is_not_stored_later():
    (flush,) = decide(event(1, label="maybe"), event(1), event(2)).flushes
    assert flush.aside["kafka_offset"].to_pylist() == [0]
    assert flush.rows["kafka_offset"].to_pylist() == [2]
    assert flush.duplicates[0].tolist() == [1]


def test_an_unreadable_record_is_a_dead_letter_and_its_neighbours_go_on():
    decided = decide(event(1), b"\xff", event(2))
    assert [(record.offset, why.reason) for record, why in decided.dead_letters] == [(1, "unreadable")]
    assert decided.flushes[0].rows.num_rows == 2
    assert decided.next_offsets == {0: 3}


def test_a_tombstone_is_a_dead_letter():
    assert decide(None).dead_letters[0][1].reason == "unreadable"


def test_padding_is_passed_over():
    records = [Record(0, None, key=None), Record(1, event(1)), Record(2, None, key=b"")]
    decided = decider(Specs("flights")).decide([(partition(), records)], 0.0)
    assert decided.dead_letters == []
    assert decided.flushes[0].rows["kafka_offset"].to_pylist() == [1]
    assert decided.next_offsets == {0: 3}


def test_a_model_that_came_meanwhile_is_known_after_one_reload():
    specs = Specs()
    made = decider(specs)
    assert made.decide([(partition(), [Record(0, event(1))])], 0.0).dead_letters
    specs.names = ["flights"]
    decided = made.decide([(partition(), [Record(0, event(1)), Record(1, b"x")])], 0.0)
    assert decided.flushes[0].rows.num_rows == 1
    assert len(decided.dead_letters) == 1


def test_each_model_has_its_own_flush():
    decided = decide(event(1), event(2, model="trains"), event(3), specs=Specs("flights", "trains"))
    assert {flush.model: flush.rows["kafka_offset"].to_pylist() for flush in decided.flushes} == {
        "flights": [0, 2],
        "trains": [1],
    }


def test_what_the_lake_knows_is_learned_before_a_partition_meets_a_model():
    knowledge = Knowledge()
    made = decider(Specs("flights"), knowledge)
    made.decide([(partition(watermarks={}), [Record(0, event(1))]), (partition(1), [Record(0, event(2))])], 0.0)
    assert knowledge.learned == [("flights", [0])]


def test_offsets_that_the_table_covers_are_only_acknowledged():
    decided = decide(event(1), event(2), event(3), owner=partition(watermarks={"flights": 1}))
    assert decided.flushes[0].rows["kafka_offset"].to_pylist() == [2]
    assert decided.flushes[0].shares({}, count_quality=True)[0].first_offset == 2
    covered = decide(event(1), owner=partition(watermarks={"flights": 5}))
    assert covered.flushes == []
    assert covered.next_offsets == {0: 1}


def test_what_was_set_aside_before_a_crash_is_counted_and_not_set_aside_again():
    owner = partition(aside={0})
    owner.seen.load(keys_of(np.array([[0, 1]], dtype=np.uint64), SECRET))
    (flush,) = decide(event(1, label="maybe"), event(2), owner=owner).flushes
    assert flush.aside.num_rows == 0
    share = flush.shares({}, count_quality=True)[0]
    assert (share.rows, share.duplicates, share.quarantined) == (1, 0, 1)


def test_what_was_set_aside_by_an_older_spec_is_not_stored_by_a_newer_one():
    (flush,) = decide(event(1), event(2), owner=partition(aside={0})).flushes
    assert flush.rows["kafka_offset"].to_pylist() == [1]


def test_a_dead_letter_written_before_a_crash_is_not_written_again():
    decided = decide(b"x", b"y", event(1), owner=partition(dead={0, 2}))
    assert [record.offset for record, _ in decided.dead_letters] == [1]
    assert decided.flushes == []


def test_a_flush_of_duplicates_alone_still_accounts_for_them():
    owner = partition()
    owner.seen.load(keys_of(np.array([[0, 1]], dtype=np.uint64), SECRET))
    (flush,) = decide(event(1), owner=owner).flushes
    share = flush.shares({}, count_quality=True)[0]
    assert (share.rows, share.duplicates) == (0, 1)


def test_quality_is_counted_per_version_and_audited_apart():
    (flush,) = decide(
        event(1),
        event(2, label="on_time", predicted="on_time"),
        event(3, audited=False),
        event(4, kind="rating", label=None, rating=4, predicted=None),
        event(5, kind="confirmation", prediction_id=str(uuid.uuid4()), features=None, label=None, predicted="late"),
        event(6, model_version=None),
    ).flushes
    audited, volunteered = sorted(flush.shares({}, count_quality=True)[0].quality, key=lambda q: not q.audited)
    assert audited.confusion == {"on_time": {"late": 1, "on_time": 1}, "late": {"late": 1}}
    assert (audited.n, audited.rating_sum, audited.rating_count) == (4, 4, 1)
    assert (volunteered.n, volunteered.confusion) == (1, {"on_time": {"late": 1}})


def test_counts_leave_out_what_another_writer_stored_meanwhile():
    (flush,) = decide(event(1), event(1), event(2), event(3)).flushes
    share = flush.shares({"feedback-events/0": 1}, count_quality=True)[0]
    assert (share.first_offset, share.rows, share.duplicates, share.quality[0].n) == (2, 2, 0, 2)
    assert flush.shares({"feedback-events/0": 3}, count_quality=True) == {}


def test_what_a_commit_says_is_read_back():
    (flush,) = decide(event(1), event(2)).flushes
    shares = flush.shares({}, count_quality=True)
    said = json.loads(json.dumps(to_metadata(TOPIC, shares)))
    assert from_metadata(said, 0) == shares[0]
    assert from_metadata(said, 1) is None


class Steps:
    """Tables, dead letters and announcements that write down what was asked, and fail as told."""

    def __init__(self, failures: dict[str, list[Exception]] | None = None) -> None:
        self.done: list[str] = []
        self.failures = failures or {}

    def _step(self, name: str) -> None:
        if self.failures.get(name):
            raise self.failures[name].pop(0)
        self.done.append(name)

    def append(self, flush):
        self._step("append")
        return Appended(7, flush.shares({}, count_quality=True))

    def publish(self, letters):
        self._step("dead letters")

    def dataset_committed(self, events):
        self._step("announce")

    def threshold_reached(self, event):
        raise AssertionError

    def watermarks(self, model, partitions):
        return dict.fromkeys(partitions, 9)

    def stored_ids(self, model, partitions, since_us):
        return []

    def quarantined(self, model, beyond):
        return {}

    def last_share(self, model, number):
        return None

    def published(self, topic, beyond):
        return {}


def settled(steps: Steps, decided, give_up_s: float = 60.0, stopping: bool = False):
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return stopping

    Settler(steps, steps, steps, Patience(give_up_s, wait, lambda _: None)).settle(decided)
    return waits


def test_rows_are_safe_before_dead_letters_and_both_before_they_are_announced():
    steps = Steps()
    settled(steps, decide(event(1), b"x"))
    assert steps.done == ["append", "dead letters", "announce"]


def test_an_outage_is_waited_out():
    steps = Steps({"append": [LakeUnavailable("away")] * 3, "announce": [BrokerUnavailable("t", 1.0)]})
    waits = settled(steps, decide(event(1)))
    assert steps.done == ["append", "announce"]
    assert waits == sorted(waits[:3]) + waits[3:]


def test_an_outage_without_end_stops_the_flush():
    with pytest.raises(GaveUp, match="append to flights"):
        settled(Steps({"append": [LakeUnavailable("away")] * 99}), decide(event(1)), give_up_s=-1.0)


def test_a_process_that_is_asked_to_stop_does_not_wait_for_an_outage():
    steps = Steps({"append": [LakeUnavailable("away")] * 99})
    with pytest.raises(Stopping):
        settled(steps, decide(event(1)), stopping=True)
    assert steps.done == []


def test_what_no_retry_mends_is_not_retried():
    steps = Steps({"append": [TableMissing("gone")]})
    with pytest.raises(TableMissing):
        settled(steps, decide(event(1)))
    assert steps.done == []


def test_a_topic_that_ends_before_what_the_lake_holds_is_refused():
    recovery = Recovery(TOPIC, Steps(), Steps(), Specs("flights"), SECRET)
    with pytest.raises(TopicRecreated, match="offset 9"):
        recovery.recover({0: 0}, {0: 9}, 0.0)
    assert recovery.recover({0: 0}, {0: 10}, 0.0)[0].watermarks == {"flights": 9}


def test_waits_end_when_the_process_stops():
    stopping = threading.Event()
    stopping.set()
    assert Patience(60.0, stopping.wait, lambda _: None).wait(30.0)
