"""Group workers of kafka_runtime, against a real broker."""

import threading
import time
from typing import Any
from uuid import uuid4

from flywheel_schemas.topics import Topic
from kafka_runtime import cloud_events, dead_letter, tail
from kafka_runtime.dead_letter import DeadLetters
from kafka_runtime.errors import (
    Poison,
    Retryable,
)
from kafka_runtime.publisher import Publisher
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings
from kafka_runtime.worker import GroupWorker
from tests.integration.kafka_bench import fresh, publisher, settings
from tests.waiting import until

__all__ = ["fresh", "publisher", "settings"]


def committed(settings: KafkaSettings, group: str, topic: Topic) -> dict[int, int]:
    return tail.committed_offsets(settings, group, topic)


def worker(settings: KafkaSettings, group: str, topic: Topic, handler: Any, dead: Topic) -> GroupWorker:
    letters = DeadLetters(settings, Publisher(settings, source="a-test", linger_ms=0), dead)
    return GroupWorker(settings, group, topic, handler, dead_letters=letters, session_timeout_s=6.0)


def test_the_offset_is_committed_only_after_the_handler_returned(
    settings: KafkaSettings, publisher: Publisher, fresh: Any
) -> None:
    topic, group = fresh(), f"g-{uuid4()}"
    publisher.send_and_wait(topic, b"k", b"x", [], 0)
    begun, release = threading.Event(), threading.Event()

    def handler(_: Record) -> None:
        begun.set()
        release.wait(30)

    working = worker(settings, group, topic, handler, fresh("dead"))
    working.start()
    assert begun.wait(30)
    assert committed(settings, group, topic) == {}
    release.set()
    until(lambda: committed(settings, group, topic) == {0: 1})
    working.close()


def test_a_handler_may_take_longer_than_the_session_and_keeps_its_partition(
    settings: KafkaSettings, publisher: Publisher, fresh: Any
) -> None:
    topic, group = fresh(), f"g-{uuid4()}"
    for value in (b"slow", b"next"):
        publisher.send_and_wait(topic, b"k", value, [], 0)
    handled: list[bytes | None] = []

    def handler(record: Record) -> None:
        if record.value == b"slow":
            time.sleep(8)
        handled.append(record.value)

    dead = fresh("dead")
    first = worker(settings, group, topic, handler, dead)
    first.start()
    second = worker(settings, group, topic, handler, dead)
    second.start()
    until(lambda: committed(settings, group, topic) == {0: 2}, 45)
    first.close()
    second.close()
    # Joining the group may move the partition while it is handled: then its record is handled again, never lost.
    assert handled[-1] == b"next"
    assert set(handled) == {b"slow", b"next"}


def test_retryable_is_tried_again_and_poison_buried_while_the_partition_goes_on(
    settings: KafkaSettings, publisher: Publisher, fresh: Any
) -> None:
    topic, dead, group = fresh(), fresh("dead", high_volume=True), f"g-{uuid4()}"
    for value in (b"later", b"\xff\xfe", b"fine"):
        publisher.send_and_wait(topic, b"k", value, [("ce_id", b"e-1")], 2)
    handled: list[bytes | None] = []

    def handler(record: Record) -> None:
        handled.append(record.value)
        if record.value == b"later" and len(handled) == 1:
            raise Retryable("not yet")
        if record.value == b"\xff\xfe":
            raise Poison("invalid UTF-8")

    working = worker(settings, group, topic, handler, dead)
    working.start()
    until(lambda: committed(settings, group, topic) == {2: 3})
    working.close()
    assert handled == [b"later", b"later", b"\xff\xfe", b"fine"]
    [letter] = tail.last(settings, dead, 2, 10)
    assert (letter.key, letter.value) == (b"k", b"\xff\xfe")
    assert letter.headers[0] == ("ce_id", b"e-1")
    assert cloud_events.header(letter.headers, "dlq_reason") == "invalid UTF-8"
    assert dead_letter.source_offset(letter.headers) == (topic.name, 2, 1)


def test_a_worker_that_dies_in_the_handler_leaves_the_record_to_the_next(
    settings: KafkaSettings, publisher: Publisher, fresh: Any
) -> None:
    topic, dead, group = fresh(), fresh("dead"), f"g-{uuid4()}"
    publisher.send_and_wait(topic, b"k", b"x", [], 0)
    begun = threading.Event()

    def never_returns(_: Record) -> None:
        begun.set()
        threading.Event().wait()

    first = worker(settings, group, topic, never_returns, dead)
    first.start()
    assert begun.wait(30)
    first.close(timeout_s=0.2)
    handled: list[bytes | None] = []
    second = worker(settings, group, topic, lambda record: handled.append(record.value), dead)
    second.start()
    until(lambda: committed(settings, group, topic) == {0: 1})
    second.close()
    assert handled == [b"x"]


def test_a_revoked_record_that_waits_for_another_attempt_goes_to_the_new_owner(
    settings: KafkaSettings, publisher: Publisher, fresh: Any
) -> None:
    topic, dead, group = fresh(), fresh("dead"), f"g-{uuid4()}"
    for partition in range(3):
        publisher.send_and_wait(topic, b"k", str(partition).encode(), [], partition)
    tried, handled = threading.Event(), []

    def stuck(_: Record) -> None:
        tried.set()
        raise Retryable("away", 30.0)

    first = worker(settings, group, topic, stuck, dead)
    first.start()
    assert tried.wait(30)
    second = worker(settings, group, topic, lambda record: handled.append(record.value), dead)
    second.start()
    until(lambda: len(handled) >= 1)
    first.close(timeout_s=1.0)
    until(lambda: sorted(handled) == [b"0", b"1", b"2"])
    until(lambda: committed(settings, group, topic) == {0: 1, 1: 1, 2: 1})
    second.close()


def test_partitions_that_left_during_a_record_and_came_back_are_worked_on(
    settings: KafkaSettings, publisher: Publisher, fresh: Any
) -> None:
    topic, dead, group = fresh(), fresh("dead"), f"g-{uuid4()}"
    begun, release = threading.Event(), threading.Event()
    by_first: list[tuple[int, int]] = []
    by_second: list[tuple[int, int]] = []

    def slow(record: Record) -> None:
        begun.set()
        release.wait(60)
        by_first.append((record.partition, record.offset))

    for partition in range(3):
        publisher.send_and_wait(topic, b"k", b"early", [], partition)
    first = worker(settings, group, topic, slow, dead)
    first.start()
    assert begun.wait(30)
    second = worker(settings, group, topic, lambda record: by_second.append((record.partition, record.offset)), dead)
    second.start()
    until(lambda: by_second)
    release.set()
    until(lambda: sum(committed(settings, group, topic).values()) == 3)
    second.close()
    # A record of a partition that stayed would make the worker resume all that it has then.
    left = {partition for partition, _ in by_second}
    for partition in left:
        publisher.send_and_wait(topic, b"k", b"late", [], partition)
    until(lambda: {partition for partition, offset in by_first if offset == 1} == left)
    first.close()
