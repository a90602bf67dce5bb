"""Publishing many records at a time to a real broker."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import pytest

from flywheel_schemas.topics import Topic
from kafka_runtime import tail
from kafka_runtime.batches import BatchPublisher
from kafka_runtime.errors import BrokerUnavailable, RecordRefused
from kafka_runtime.record import Outgoing, Record
from kafka_runtime.settings import KafkaSettings
from tests.integration.kafka_bench import AWAY, fresh, publisher, settings

__all__ = ["fresh", "publisher", "settings"]


def some(count: int, size: int = 100) -> list[Outgoing]:
    return [
        (key, b"%08d" % number + b"x" * size, [("ce_id", key), ("traceparent", b"00-01")])
        for number, key in enumerate(str(uuid4()).encode() for _ in range(count))
    ]


def stored(settings: KafkaSettings, topic: Topic) -> list[Record]:
    partitions = range(settings.partitions)
    return [record for each in partitions for record in tail.records_from(settings, topic, each, 0)]


async def published(settings: KafkaSettings, topic: Topic, *lots: list[Outgoing], timeout_s: float = 10.0) -> list[Any]:
    """What became of each lot; all are sent at once."""
    batches = BatchPublisher(settings, topic, delivery_timeout_s=timeout_s)
    try:
        return await asyncio.gather(*map(batches.publish_all, lots))
    finally:
        await batches.close(timeout_s)


async def test_each_record_is_stored_once_as_it_was_given(settings, fresh):
    topic, records = fresh(high_volume=True), some(5000)
    assert await published(settings, topic, records) == [{}]
    found = [(record.key, record.value, record.headers) for record in stored(settings, topic)]
    assert sorted(found) == sorted(records)


async def test_a_key_lies_where_every_other_client_would_look_for_it(settings, fresh, publisher):
    topic = fresh(high_volume=True)
    for keys in ([uuid4().bytes.hex().encode() for _ in range(20)], [b"a", b"some-flight", "zürich".encode()]):
        assert await published(settings, topic, [(key, b"batch", []) for key in keys]) == [{}]
        for key in keys:
            publisher.send_and_wait(topic, key, b"alone", [])
    places: dict[bytes, set[int]] = {}
    for record in stored(settings, topic):
        places.setdefault(record.key, set()).add(record.partition)
    assert len(places) == 23
    assert all(len(found) == 1 for found in places.values())


async def test_the_order_of_a_partition_is_that_in_which_the_records_were_given(settings, fresh):
    topic = fresh(high_volume=True)
    records = [(key, value, []) for key, value, _ in some(9000, size=1000)]  # several batches for each partition
    assert await published(settings, topic, records) == [{}]
    for partition in range(settings.partitions):
        values = [record.value for record in tail.records_from(settings, topic, partition, 0)]
        assert values == sorted(values)
        assert len(values) > 1000


async def test_lots_that_are_sent_at_once_do_not_disturb_each_other(settings, fresh):
    topic, lots = fresh(high_volume=True), [some(200) for _ in range(20)]
    assert await published(settings, topic, *lots) == [{}] * 20
    assert {record.key for record in stored(settings, topic)} == {key for lot in lots for key, _, _ in lot}


async def test_a_record_that_is_too_large_for_the_broker_harms_no_other(settings, fresh):
    topic, records = fresh(high_volume=True), some(50)
    records[20] = (records[20][0], b"x" * 3_000_000, [])
    [failed] = await published(settings, topic, records)
    assert {place: type(why) for place, why in failed.items()} == {20: RecordRefused}
    assert len(stored(settings, topic)) == 49


async def test_a_batch_that_is_too_large_for_its_topic_is_parted_until_it_fits(settings, fresh):
    topic, records = fresh(high_volume=True, max_message_bytes=20_000), some(600, size=1000)
    records[300] = (records[300][0], b"x" * 30_000, [])
    [failed] = await published(settings, topic, records)
    assert {place: type(why) for place, why in failed.items()} == {300: RecordRefused}
    found = stored(settings, topic)
    assert sorted(record.key for record in found) == sorted(key for key, _, _ in records if key != records[300][0])


async def test_nothing_to_send_is_sent_without_asking_anybody():
    assert await published(AWAY, Topic("t", "key", "test", "delete"), []) == [{}]


async def test_without_a_broker_it_says_in_time_that_nothing_was_sent():
    begun = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="check that KAFKA_BOOTSTRAP_SERVERS"):
        await published(AWAY, Topic("t", "key", "test", "delete"), some(1), timeout_s=2.0)
    assert time.monotonic() - begun < 10


async def test_a_topic_that_is_not_there_is_said_in_time(settings):
    with pytest.raises(BrokerUnavailable):
        await published(settings, Topic(f"t-{uuid4()}", "key", "test", "delete"), some(3), timeout_s=2.0)
