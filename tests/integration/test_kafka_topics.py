"""Topics and publishing of kafka_runtime, against a real broker."""

import threading
import time
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource

from flywheel_schemas.events import ThresholdReached
from flywheel_schemas.topics import ALL_TOPICS, DATASET_COMMITTED, Topic
from kafka_runtime import cloud_events, tail, topics
from kafka_runtime.errors import (
    BrokerUnavailable,
    PartitionCountChanged,
    RecordRefused,
)
from kafka_runtime.partitioner import partition_for
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings
from tests.integration.kafka_bench import AWAY, fresh, publisher, settings, trigger

__all__ = ["fresh", "publisher", "settings"]


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
        topics.ensure(AWAY, timeout_s=0.5)


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
    publisher = Publisher(AWAY, source="a-test", delivery_timeout_s=0.6, linger_ms=0)
    with pytest.raises(BrokerUnavailable) as caught:
        publisher.publish(DATASET_COMMITTED, "m", trigger())
    assert caught.value.topic == "dataset-committed"
    assert caught.value.retry_after_s is not None
    assert not publisher.reachable(0.2)
