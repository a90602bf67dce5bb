"""Tails and followers of kafka_runtime, against a real broker."""

from typing import Any
from uuid import uuid4

import pytest

from flywheel_schemas.topics import Topic
from kafka_runtime import tail, topics
from kafka_runtime.errors import (
    Retryable,
    UnknownTopic,
)
from kafka_runtime.follower import Follower
from kafka_runtime.publisher import Publisher
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings
from tests.integration.kafka_bench import fresh, publisher, settings
from tests.waiting import until

__all__ = ["fresh", "publisher", "settings"]


def test_a_compacted_topic_reads_as_its_last_records_without_the_deleted(
    settings: KafkaSettings, publisher: Publisher, fresh: Any
) -> None:
    topic = fresh(cleanup="compact")
    for key, value in [(b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"c", b"1"), (b"c", None)]:
        publisher.send_and_wait(topic, key, value, [])
    assert {k: r.value for k, r in tail.latest_by_key(settings, topic).items()} == {"a": b"2", "b": b"1"}


def test_the_tail_of_a_partition_is_its_last_records_oldest_first(
    settings: KafkaSettings, publisher: Publisher, fresh: Any
) -> None:
    topic = fresh()
    for i in range(9):
        publisher.send_and_wait(topic, b"k", str(i).encode(), [], 1)
    assert [r.value for r in tail.last(settings, topic, 1, 3)] == [b"6", b"7", b"8"]
    assert len(tail.last(settings, topic, 1, 50)) == 9
    assert tail.last(settings, topic, 0, 3) == tail.last(settings, topic, 1, 0) == []
    publisher.send_and_wait(topic, b"k", b"other", [], 2)
    assert sorted((r.partition, r.value) for r in tail.latest(settings, topic, 2)) == [
        (1, b"7"),
        (1, b"8"),
        (2, b"other"),
    ]
    assert [r.offset for r in tail.records_from(settings, topic, 1, 7)] == [7, 8]
    assert list(tail.records_from(settings, topic, 1, 9)) == []
    assert tail.end_offsets(settings, topic) == {0: 0, 1: 9, 2: 1}


def test_reading_an_unknown_topic_says_so(settings: KafkaSettings) -> None:
    with pytest.raises(UnknownTopic):
        tail.latest_by_key(settings, "no-such-topic")
    with pytest.raises(UnknownTopic):
        tail.last(settings, "no-such-topic", 0, 1)


def test_a_follower_sees_what_was_there_then_what_comes(
    settings: KafkaSettings, publisher: Publisher, fresh: Any
) -> None:
    topic = fresh()
    for key in (b"a", b"b", b"c"):
        publisher.send_and_wait(topic, key, b"old", [])
    seen: list[Record] = []
    follower = Follower(settings, topic)
    follower.start(seen.append)
    assert follower.caught_up.wait(20)
    assert sorted(r.key for r in seen) == [b"a", b"b", b"c"]
    publisher.send_and_wait(topic, b"a", b"new", [])
    until(lambda: len(seen) == 4)
    follower.close()
    assert not follower.alive


def test_a_follower_from_the_end_sees_only_what_comes(
    settings: KafkaSettings, publisher: Publisher, fresh: Any
) -> None:
    topic = fresh()
    publisher.send_and_wait(topic, b"a", b"old", [])
    seen: list[bytes | None] = []
    follower = Follower(settings, topic, from_beginning=False)
    follower.start(lambda record: seen.append(record.value))
    assert follower.caught_up.wait(20)
    publisher.send_and_wait(topic, b"a", b"new", [])
    until(lambda: seen == [b"new"])
    follower.close()


def test_a_follower_waits_for_a_topic_that_is_not_there_yet(settings: KafkaSettings, publisher: Publisher) -> None:
    topic = Topic(f"later-{uuid4()}", "key", "test", "delete")
    seen: list[bytes | None] = []
    follower = Follower(settings, topic)
    follower.start(lambda record: seen.append(record.value))
    assert not follower.caught_up.wait(0.5)
    topics.ensure(settings, [topic])
    publisher.send_and_wait(topic, b"a", b"x", [])
    until(lambda: seen == [b"x"])
    follower.close()


def test_a_follower_retries_retryable_and_passes_over_what_breaks_its_handler(
    settings: KafkaSettings, publisher: Publisher, fresh: Any
) -> None:
    topic = fresh()
    calls: list[bytes | None] = []

    def handler(record: Record) -> None:
        calls.append(record.value)
        if record.value == b"later" and calls.count(b"later") == 1:
            raise Retryable("not yet")
        if record.value == b"broken":
            raise ValueError("a bug")

    for value in (b"later", b"broken", b"fine"):
        publisher.send_and_wait(topic, b"k", value, [])
    follower = Follower(settings, topic)
    follower.start(handler)
    assert follower.caught_up.wait(20)
    follower.close()
    assert calls == [b"later", b"later", b"broken", b"fine"]
