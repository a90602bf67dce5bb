"""Dead letters: a record that cannot be used, kept as it came, with headers that say why."""

import threading
from collections.abc import Mapping

from flywheel_schemas.topics import FEEDBACK_DEAD_LETTER, Topic
from kafka_runtime import cloud_events, topics
from kafka_runtime.publisher import Publisher
from kafka_runtime.record import Headers, Record
from kafka_runtime.settings import KafkaSettings

_PREFIX = "dlq_"


def headers(record: Record, reason: str, exception: str) -> Headers:
    """The record's own headers and dlq_reason, dlq_topic, dlq_partition, dlq_offset, dlq_exception.

    Marks of an earlier death are replaced.
    """
    marks: Mapping[str, str] = {
        "reason": reason,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "exception": exception,
    }
    kept = [(name, value) for name, value in record.headers if not name.startswith(_PREFIX)]
    return kept + [(_PREFIX + name, value.encode("utf-8", "replace")) for name, value in marks.items()]


def source_offset(headers: Headers) -> tuple[str, int, int] | None:
    """Topic, partition and offset that a dead letter came from; None for headers that do not say."""
    topic = cloud_events.header(headers, "dlq_topic")
    partition, offset = (cloud_events.header(headers, f"dlq_{name}") or "" for name in ("partition", "offset"))
    if topic is None or not (partition.isdecimal() and offset.isdecimal()):
        return None
    return topic, int(partition), int(offset)


class DeadLetters:
    """Puts dead letters of source partition p into partition p modulo the dead-letter topic's count.

    So whoever owns p finds all its dead letters in one place, in order.
    """

    def __init__(self, settings: KafkaSettings, publisher: Publisher, topic: Topic = FEEDBACK_DEAD_LETTER) -> None:
        self._settings = settings
        self._publisher = publisher
        self._topic = topic
        self._lock = threading.Lock()
        self._count: int | None = None

    def send(self, record: Record, reason: str, exception: str) -> None:
        """Returns when the letter is acknowledged. Raises BrokerUnavailable, UnknownTopic or RecordRefused."""
        self._publisher.send_and_wait(
            self._topic, record.key, record.value, headers(record, reason, exception), self.partition_of(record)
        )

    def partition_of(self, record: Record) -> int:
        """The partition that a dead letter of `record` goes to. Raises BrokerUnavailable or UnknownTopic."""
        with self._lock:
            if self._count is None:
                self._count = topics.partition_count(self._settings, self._topic.name)
        return record.partition % self._count
