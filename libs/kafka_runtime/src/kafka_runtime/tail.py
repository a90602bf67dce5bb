"""Looking at what lies in a topic now, and leaving again."""

import time
from collections.abc import Iterable, Iterator

from confluent_kafka import Consumer, KafkaException, TopicPartition

from flywheel_schemas.topics import Topic
from kafka_runtime.errors import BrokerUnavailable
from kafka_runtime.reader import AssignedReader
from kafka_runtime.record import Record, topic_name
from kafka_runtime.settings import KafkaSettings


def latest_by_key(settings: KafkaSettings, topic: Topic | str, timeout_s: float = 10.0) -> dict[str, Record]:
    """The last record of every key of a compacted topic; keys with a tombstone are left out.

    Raises UnknownTopic, and BrokerUnavailable when the end is not reached within `timeout_s`.
    """
    found: dict[str, Record] = {}
    with AssignedReader(settings, topic_name(topic)) as reader:
        reader.assign_all(from_beginning=True, timeout_s=timeout_s)
        for record in _until_end(reader, timeout_s):
            key = record.key.decode("utf-8", "replace")
            if record.value is None:
                found.pop(key, None)
            else:
                found[key] = record
    return found


def last(settings: KafkaSettings, topic: Topic | str, partition: int, n: int, timeout_s: float = 10.0) -> list[Record]:
    """The last `n` records of a partition, oldest first; fewer when it holds fewer.

    Raises UnknownTopic or BrokerUnavailable.
    """
    with AssignedReader(settings, topic_name(topic)) as reader:
        return _last(reader, [partition], n, timeout_s)


def latest(settings: KafkaSettings, topic: Topic | str, n: int, timeout_s: float = 10.0) -> list[Record]:
    """The last `n` records of every partition, in the order of their offsets within each.

    Raises UnknownTopic or BrokerUnavailable.
    """
    with AssignedReader(settings, topic_name(topic)) as reader:
        return _last(reader, reader.partitions(timeout_s), n, timeout_s)


def _last(reader: AssignedReader, partitions: Iterable[int], n: int, timeout_s: float) -> list[Record]:
    bounds = {partition: reader.watermarks(partition, timeout_s) for partition in partitions}
    found: dict[int, list[Record]] = {partition: [] for partition, (low, high) in bounds.items() if low == high}
    span = n
    while wanted := bounds.keys() - found.keys():
        starts = {partition: max(bounds[partition][0], bounds[partition][1] - span) for partition in wanted}
        reader.assign(starts)
        read: dict[int, list[Record]] = {partition: [] for partition in wanted}
        for record in _until_end(reader, timeout_s):
            if record.offset < bounds[record.partition][1]:
                read[record.partition].append(record)
        for partition, records in read.items():
            # Offsets have gaps (compaction, transactions), so a span of n offsets may hold fewer records.
            if len(records) >= n or starts[partition] == bounds[partition][0]:
                found[partition] = records[-n:] if n else []
        span *= 4
    return [record for records in found.values() for record in records]


def records_from(
    settings: KafkaSettings, topic: Topic | str, partition: int, offset: int, timeout_s: float = 10.0
) -> Iterator[Record]:
    """The records of a partition from `offset` to what was its end at the call. Stop early as you like.

    Raises UnknownTopic or BrokerUnavailable.
    """
    with AssignedReader(settings, topic_name(topic)) as reader:
        low, high = reader.watermarks(partition, timeout_s)
        if offset >= high:
            return
        reader.assign({partition: max(low, offset)})
        for record in _until_end(reader, timeout_s):
            if record.offset >= high:
                return
            yield record


def end_offsets(settings: KafkaSettings, topic: Topic | str, timeout_s: float = 10.0) -> dict[int, int]:
    """Per partition, the offset that the next record will get. Raises UnknownTopic or BrokerUnavailable."""
    with AssignedReader(settings, topic_name(topic)) as reader:
        return {p: reader.watermarks(p, timeout_s)[1] for p in reader.partitions(timeout_s)}


def committed_offsets(
    settings: KafkaSettings, group: str, topic: Topic | str, timeout_s: float = 10.0
) -> dict[int, int]:
    """Per partition, the offset at which the group goes on; partitions without a commit are left out.

    Raises UnknownTopic or BrokerUnavailable.
    """
    name = topic_name(topic)
    with AssignedReader(settings, name) as reader:
        wanted = [TopicPartition(name, partition) for partition in reader.partitions(timeout_s)]
    consumer = Consumer(settings.librdkafka() | {"group.id": group, "enable.auto.commit": False})
    try:
        committed = consumer.committed(wanted, timeout=timeout_s)
    except KafkaException as exc:
        raise BrokerUnavailable(name, 2.0, exc.args[0].str()) from exc
    finally:
        consumer.close()
    return {found.partition: found.offset for found in committed if found.offset >= 0}


def _until_end(reader: AssignedReader, timeout_s: float) -> Iterator[Record]:
    deadline = time.monotonic() + timeout_s
    while not reader.at_end:
        record = reader.next(0.2)
        if record is not None:
            yield record
        if time.monotonic() > deadline:
            raise BrokerUnavailable(reader.topic, 2.0, f"the end was not reached within {timeout_s:g} s")
