"""kafka_runtime against a real broker, with fresh topics and groups for each test."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource

from flywheel_schemas.events import ThresholdReached, TriggerReason
from flywheel_schemas.topics import ALL_TOPICS, DATASET_COMMITTED, Topic
from kafka_runtime import cloud_events, dead_letter, tail, topics
from kafka_runtime.dead_letter import DeadLetters
from kafka_runtime.errors import (
    BrokerUnavailable,
    PartitionCountChanged,
    Poison,
    RecordRefused,
    Retryable,
    UnknownTopic,
)
from kafka_runtime.follower import Follower
from kafka_runtime.partitioner import partition_for
from kafka_runtime.publisher import Publisher
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings
from kafka_runtime.worker import GroupWorker
from tests.waiting import until

_AWAY = KafkaSettings(bootstrap_servers="127.0.0.1:9")


@pytest.fixture
def settings(stack: Any) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=stack.kafka, partitions=6, partitions_control=3)


@pytest.fixture
def fresh(settings: KafkaSettings) -> Iterator[Callable[..., Topic]]:
    """Makes topics of this test's own, and removes them at the end."""
    made: list[Topic] = []

    def make(name: str = "t", **options: Any) -> Topic:
        topic = Topic(f"{name}-{uuid4()}", "key", "test", options.pop("cleanup", "delete"), **options)
        topics.ensure(settings, [topic])
        made.append(topic)
        return topic

    yield make
    admin = AdminClient(settings.librdkafka())
    for removed in admin.delete_topics([topic.name for topic in made]).values():
        removed.result()


@pytest.fixture
def publisher(settings: KafkaSettings) -> Iterator[Publisher]:
    publisher = Publisher(settings, source="a-test", linger_ms=0)
    yield publisher
    publisher.close()


def trigger(model: str = "flights") -> ThresholdReached:
    return ThresholdReached(
        trigger_id=uuid4(),
        model=model,
        reason=TriggerReason.COUNT,
        dataset_version=1,
        observed=2.0,
        threshold=2.0,
        occurred_at=datetime.now(UTC),
    )


# topics


def test_topics_are_created_with_their_partitions_and_retention(settings: KafkaSettings, fresh: Any) -> None:
    busy = fresh(high_volume=True, retention_ms=12_345)
    quiet = fresh()
    assert topics.partition_count(settings, busy.name) == 6
    assert topics.partition_count(settings, quiet.name) == 3
    resource = ConfigResource(ConfigResource.Type.TOPIC, busy.name)
    admin = AdminClient(settings.librdkafka())
    [described] = admin.describe_configs([resource]).values()
    config = {name: entry.value for name, entry in described.result().items()}
    assert (config["cleanup.policy"], config["retention.ms"]) == ("delete", "12345")


def test_ensuring_twice_at_once_is_harmless(settings: KafkaSettings) -> None:
    topic = Topic(f"race-{uuid4()}", "key", "test", "delete")
    failures: list[BaseException] = []

    def ensure() -> None:
        try:
            topics.ensure(settings, [topic])
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=ensure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert topics.partition_count(settings, topic.name) == 3


def test_another_partition_count_stops_the_start_and_says_what_to_do(settings: KafkaSettings, fresh: Any) -> None:
    topic = fresh(high_volume=True)
    other = settings.model_copy(update={"partitions": 4})
    with pytest.raises(PartitionCountChanged, match="set KAFKA_PARTITIONS=6"):
        topics.ensure(other, [topic])


def test_all_topics_of_the_contract_can_be_made(settings: KafkaSettings) -> None:
    for topic in ALL_TOPICS:
        copy = Topic(f"{topic.name}-{uuid4()}", topic.key, topic.event, topic.cleanup, topic.retention_ms)
        topics.ensure(settings, [copy])
        assert topics.partition_count(settings, copy.name) == 3


def test_without_a_broker_the_error_says_so() -> None:
    with pytest.raises(BrokerUnavailable, match="KAFKA_BOOTSTRAP_SERVERS"):
        topics.ensure(_AWAY, timeout_s=0.5)


# publishing


def test_an_event_arrives_as_a_cloudevent_in_the_partition_of_its_key(
    settings: KafkaSettings, publisher: Publisher, fresh: Any
) -> None:
    topic = fresh()
    event = trigger()
    publisher.publish(topic, event.model, event, event_id=str(event.trigger_id))
    [record] = tail.last(settings, topic, partition_for(b"flights", 3), 5)
    assert ThresholdReached.parse(record.value or b"") == event
    assert cloud_events.header(record.headers, "ce_id") == str(event.trigger_id)
    assert cloud_events.header(record.headers, "ce_type") == "dev.flywheel.test.v1"
    assert cloud_events.header(record.headers, "ce_source") == "a-test"
    assert abs(record.timestamp_ms / 1000 - time.time()) < 60


def test_our_partitioner_and_librdkafkas_murmur2_agree(settings: KafkaSettings, fresh: Any) -> None:
    topic = fresh(high_volume=True)
    landed: dict[bytes, int] = {}
    producer = Producer(settings.librdkafka() | {"partitioner": "murmur2_random"})
    keys = [str(uuid4()).encode() for _ in range(300)] + [b"", b"a", "ü".encode(), bytes(range(256))]
    for key in keys:
        producer.produce(
            topic.name, value=b"x", key=key, on_delivery=lambda e, m: landed.__setitem__(m.key() or b"", m.partition())
        )
    assert producer.flush(20) == 0
    assert landed == {key: partition_for(key, 6) for key in keys}
    assert set(landed.values()) == set(range(6))


def test_an_oversized_record_is_refused_for_good(publisher: Publisher, fresh: Any) -> None:
    with pytest.raises(RecordRefused, match="not stored"):
        publisher.send_and_wait(fresh(), b"k", b"x" * 3_000_000, [])


def test_without_a_broker_publishing_says_when_to_retry() -> None:
    publisher = Publisher(_AWAY, source="a-test", delivery_timeout_s=0.6, linger_ms=0)
    with pytest.raises(BrokerUnavailable) as caught:
        publisher.publish(DATASET_COMMITTED, "m", trigger())
    assert caught.value.topic == "dataset-committed"
    assert caught.value.retry_after_s is not None
    assert not publisher.reachable(0.2)


# tails


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
    assert [r.offset for r in tail.records_from(settings, topic, 1, 7)] == [7, 8]
    assert list(tail.records_from(settings, topic, 1, 9)) == []
    assert tail.end_offsets(settings, topic) == {0: 0, 1: 9, 2: 0}


def test_reading_an_unknown_topic_says_so(settings: KafkaSettings) -> None:
    with pytest.raises(UnknownTopic):
        tail.latest_by_key(settings, "no-such-topic")
    with pytest.raises(UnknownTopic):
        tail.last(settings, "no-such-topic", 0, 1)


# following


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


# working as a group


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
