"""The dead-letter topic: records kept as they came, each once."""

from collections.abc import Mapping, Sequence

from flywheel_schemas.topics import FEEDBACK_DEAD_LETTER
from kafka_runtime import dead_letter, tail, topics
from kafka_runtime.publisher import Publisher
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings
from typing_extensions import override

from stream_processor.application.flush import SourceRecord
from stream_processor.application.ports import DeadLetters
from stream_processor.domain.routing import DeadLetter

_PAGE = 500


class KafkaDeadLetters(DeadLetters):
    """Puts the dead letters of source partition p into partition p, where its owner finds them again."""

    def __init__(self, settings: KafkaSettings, publisher: Publisher) -> None:
        self._settings = settings
        self._letters = dead_letter.DeadLetters(settings, publisher)
        self._acknowledged: set[tuple[str, int, int]] = set()

    @override
    def publish(self, letters: Sequence[tuple[SourceRecord, DeadLetter]]) -> None:
        for source, why in letters:
            mark = (source.topic, source.partition, source.offset)
            if mark in self._acknowledged:
                continue
            self._letters.send(_record(source), why.reason, why.detail)
            self._acknowledged.add(mark)
        self._acknowledged.clear()

    @override
    def published(self, topic: str, beyond: Mapping[int, int]) -> dict[int, set[int]]:
        count = topics.partition_count(self._settings, FEEDBACK_DEAD_LETTER.name)
        return {number: self._published(topic, number, first, number % count) for number, first in beyond.items()}

    def _published(self, topic: str, number: int, first: int, partition: int) -> set[int]:
        """Read backwards until a letter of an acknowledged record turns up: letters are written in order."""
        span = _PAGE
        while True:
            records = tail.last(self._settings, FEEDBACK_DEAD_LETTER, partition, span)
            sources = [dead_letter.source_offset(record.headers) for record in records]
            mine = [offset for source in sources if source and source[:2] == (topic, number) for offset in source[2:]]
            if len(records) < span or any(offset < first for offset in mine):
                return {offset for offset in mine if offset >= first}
            span *= 4


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
