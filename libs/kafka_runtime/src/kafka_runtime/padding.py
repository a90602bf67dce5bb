"""Letting a topic that lost its records go on at the offsets that its readers have come to.

An offset names a record for good: by it the lake knows what it holds. A topic that was made anew counts from 0 again,
so its first records would be taken for old ones. Padding (records without key, value and headers) moves its end to
where the old one's was; what was written meanwhile is written once more behind that.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from flywheel_schemas.topics import Topic, is_padding
from kafka_runtime.errors import BrokerUnavailable
from kafka_runtime.reader import AssignedReader
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings
from telemetry import logging

_LOG = logging.get("kafka_runtime")
_AT_ONCE = 10_000
_TIMEOUT_S, _STALLED_S = 10.0, 60.0


@dataclass(frozen=True, slots=True)
class Padded:
    """What was done to one partition: how many records of padding it got, how many records were written once more, and
    how many were left below because they are too old to be told from what the readers hold.
    """

    padding: int
    written_again: int
    left: int


def pad(
    settings: KafkaSettings,
    topic: Topic,
    partition: int,
    until: int,
    *,
    since_ms: int,
    told: Callable[[int], None] = lambda _: None,
) -> Padded:
    """Move the end of a partition to offset `until`, and what lies before it and is younger than `since_ms` behind it.

    Safe to repeat after it was broken off: then records may be there twice, under the same key and value, so readers
    must drop doubles, as the stream processor does with events. Others may go on writing meanwhile. `told` hears of
    every 10,000 records of padding. Where nothing was left below, what lies before `until` is deleted, so that nobody
    has to read the padding; a broker that cannot do that keeps it, which is logged.

    Raises UnknownTopic and BrokerUnavailable.
    """
    writer = _Writer(settings, topic.name, partition)
    with AssignedReader(settings, topic.name) as reader:
        low, end = reader.watermarks(partition, _TIMEOUT_S)
        before, padding = end, 0
        while end < until:
            padding += writer.pad(until - end, told)
            end = reader.watermarks(partition, _TIMEOUT_S)[1]
        written_again = left = 0
        # Where only padding was added to an empty partition, there is nothing to look for.
        if (low, end) != (before, before + padding):
            for record in _below(reader, partition, low, until):
                if record.timestamp_ms >= since_ms:
                    writer.write(record)
                    written_again += 1
                else:
                    left += 1
    writer.flush()
    if not left:
        _delete(settings, topic.name, partition, until)
    return Padded(padding, written_again, left)


class _Writer:
    """Writes to one partition; raises BrokerUnavailable where not every record was acknowledged."""

    def __init__(self, settings: KafkaSettings, topic: str, partition: int) -> None:
        self._topic, self._partition = topic, partition
        self._error: Any = None
        self._producer = Producer(
            settings.librdkafka()
            | {
                "acks": "all",
                # A Kafka that begins anew gives out ids of idempotent producers that old ones still go by.
                "enable.idempotence": False,
                "compression.type": "lz4",
                "linger.ms": 20,
                "queue.buffering.max.messages": 20 * _AT_ONCE,
                "batch.num.messages": 10 * _AT_ONCE,
                "delivery.report.only.error": True,
                "message.max.bytes": 16 * 1024 * 1024,
            }
        )

    def pad(self, count: int, told: Callable[[int], None]) -> int:
        """Write `count` records of padding."""
        missing = count
        while missing:
            wanted = min(missing, _AT_ONCE)
            queued = self._batch([{} for _ in range(wanted)])
            missing -= queued
            told(queued)
            self._producer.poll(0.0 if queued == wanted else 0.05)
        self.flush()
        return count

    def _batch(self, records: list[dict[str, Any]]) -> int:
        """How many of them found room in the queue."""
        try:
            return int(
                self._producer.produce_batch(self._topic, records, partition=self._partition, on_delivery=self._failed)
            )
        except BufferError:
            return 0

    def write(self, record: Record) -> None:
        """Write a record once more, at the moment that it was written first."""
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    record.value,
                    record.key or None,
                    self._partition,
                    headers=record.headers,
                    timestamp=max(record.timestamp_ms, 0),
                    on_delivery=self._failed,
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def flush(self) -> None:
        """Wait until everything is acknowledged."""
        deadline = time.monotonic() + _STALLED_S
        while self._producer.flush(1.0):
            if time.monotonic() > deadline:
                raise BrokerUnavailable(self._topic, 2.0)
        if self._error is not None:
            raise BrokerUnavailable(self._topic, 2.0, self._error.str())

    def _failed(self, error: Any, _: Any) -> None:
        self._error = error or self._error


def _below(reader: AssignedReader, partition: int, low: int, until: int) -> Iterator[Record]:
    """The records from `low` to before `until` that are no padding."""
    reader.assign({partition: low})
    deadline = time.monotonic() + _STALLED_S
    while not reader.at_end:
        record = reader.next(0.5)
        if record is not None:
            deadline = time.monotonic() + _STALLED_S
            if record.offset >= until:
                return
            if not is_padding(record.key, record.value, record.headers):
                yield record
        elif time.monotonic() > deadline:
            raise BrokerUnavailable(reader.topic, 2.0, "what lies there could not be read")


def _delete(settings: KafkaSettings, topic: str, partition: int, until: int) -> None:
    admin = AdminClient(settings.librdkafka())  # its answers come only as long as it lives
    for answer in admin.delete_records([TopicPartition(topic, partition, until)]).values():
        try:
            answer.result(_TIMEOUT_S)
        except (KafkaException, TimeoutError) as exc:
            # Not every broker can, and not everybody may; readers pass over padding.
            _LOG.warning("padding_kept", topic=topic, partition=partition, until=until, error=str(exc))
