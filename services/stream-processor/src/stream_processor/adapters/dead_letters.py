"""The dead-letter topic: records kept as they came, each once, whoever else believes to own their partition.

Letters of source partition p go to partition p. Each write is a Kafka transaction whose id belongs to that partition:
beginning one shuts out every other writer of the partition, and what those wrote before is visible then. So looking
for a letter and writing it are one step, also for a process that was stopped and continued after it lost the partition.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaException, Producer
from typing_extensions import override

from flywheel_schemas.topics import FEEDBACK_DEAD_LETTER
from kafka_runtime import dead_letter, tail, topics
from kafka_runtime.errors import BrokerUnavailable, RecordRefused
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings
from stream_processor.application.flush import SourceRecord
from stream_processor.application.ports import DeadLetters
from stream_processor.domain.routing import DeadLetter

_PAGE = 500
_TIMEOUT_S = 15.0
Letter = tuple[SourceRecord, DeadLetter]


class KafkaDeadLetters(DeadLetters):
    """Exactly once by (topic, partition, offset) of the source. `group` keeps deployments on one Kafka apart."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._settings = settings
        self._group = group
        self._lock = threading.Lock()

    @override
    def publish(self, letters: Sequence[Letter]) -> None:
        count = topics.partition_count(self._settings, FEEDBACK_DEAD_LETTER.name)
        for partition in sorted({source.partition % count for source, _ in letters}):
            with self._lock:
                self._publish(partition, [one for one in letters if one[0].partition % count == partition])

    @override
    def published(self, topic: str, beyond: Mapping[int, int]) -> dict[int, set[int]]:
        count = topics.partition_count(self._settings, FEEDBACK_DEAD_LETTER.name)
        return {number: self._published(topic, number, first, number % count) for number, first in beyond.items()}

    def _publish(self, partition: int, letters: Sequence[Letter]) -> None:
        refused: list[Any] = []
        try:
            producer = self._exclusive(partition)
            missing = self._missing(partition, letters)
            producer.begin_transaction()
            for source, why in missing:
                headers = dead_letter.headers(_record(source), why.reason, why.detail)
                producer.produce(
                    FEEDBACK_DEAD_LETTER.name,
                    value=source.value,
                    key=source.key,
                    headers=headers,
                    partition=partition,
                    on_delivery=lambda error, _: refused.append(error) if error else None,
                )
            producer.commit_transaction(_TIMEOUT_S)
        except KafkaException as exc:
            error = exc.args[0]
            if refused and not refused[0].retriable():
                raise RecordRefused(FEEDBACK_DEAD_LETTER.name, refused[0].str()) from exc
            raise BrokerUnavailable(FEEDBACK_DEAD_LETTER.name, 1.0, error.str()) from exc

    def _exclusive(self, partition: int) -> Producer:
        """A producer whose transactions shut out those of every earlier one for this partition."""
        producer = Producer(
            self._settings.librdkafka()
            | {
                "transactional.id": f"{self._group}/{FEEDBACK_DEAD_LETTER.name}/{partition}",
                "transaction.timeout.ms": int(_TIMEOUT_S * 1000),
                "message.max.bytes": 16 * 1024 * 1024,
            }
        )
        producer.init_transactions(_TIMEOUT_S)
        return producer

    def _missing(self, partition: int, letters: Sequence[Letter]) -> list[Letter]:
        sources = {(source.topic, source.partition) for source, _ in letters}
        held = {
            (topic, number, offset)
            for topic, number in sources
            for offset in self._published(topic, number, _first(letters, topic, number), partition)
        }
        return [one for one in letters if (one[0].topic, one[0].partition, one[0].offset) not in held]

    def _published(self, topic: str, number: int, first: int, partition: int) -> set[int]:
        """Read backwards until a letter of an earlier record turns up: letters are written in order."""
        span = _PAGE
        while True:
            records = tail.last(self._settings, FEEDBACK_DEAD_LETTER, partition, span)
            sources = [dead_letter.source_offset(record.headers) for record in records]
            mine = [source[2] for source in sources if source and source[:2] == (topic, number)]
            if len(records) < span or any(offset < first for offset in mine):
                return {offset for offset in mine if offset >= first}
            span *= 4


def _first(letters: Iterable[Letter], topic: str, number: int) -> int:
    return min(source.offset for source, _ in letters if (source.topic, source.partition) == (topic, number))


def _record(source: SourceRecord) -> Record:
    return Record(
        source.topic,
        source.partition,
        source.offset,
        source.key or b"",
        source.value,
        list(source.headers),
        source.timestamp,
    )
