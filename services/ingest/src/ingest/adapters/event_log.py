"""Events that lie in Kafka: waiting for the stream processor, or given up by it."""

from datetime import UTC, datetime
from itertools import chain
from typing import Literal

from flywheel_schemas.events import Feedback
from flywheel_schemas.topics import FEEDBACK_DEAD_LETTER, FEEDBACK_EVENTS
from ingest.application.ports import Sighting, SourceAway
from kafka_runtime import cloud_events, tail
from kafka_runtime.errors import KafkaRuntimeError
from kafka_runtime.partitioner import partition_for
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings

PROCESSOR_GROUP = "flywheel-stream-processor-reader"
_TIMEOUT_S = 5.0
_SEARCHED_FIRST = 1000
_DEAD_LETTERS_SEARCHED = 2000


class KafkaEventLog:
    """Looks through the one partition that an event's id belongs to."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def processed_up_to(self, event_id: str) -> int:
        """The offset before which everything of the event's partition has been processed. Raises SourceAway."""
        try:
            committed = tail.committed_offsets(self._settings, PROCESSOR_GROUP, FEEDBACK_EVENTS, _TIMEOUT_S)
        except KafkaRuntimeError as error:
            raise SourceAway(str(error)) from error
        return committed.get(self._partition(event_id), 0)

    def waiting(self, event_id: str, from_offset: int) -> Sighting | None:
        """The event, if it lies in its partition at `from_offset` or later.

        Raises SourceAway, also where so much waits that it takes too long to look through.
        """
        key, partition = event_id.encode(), self._partition(event_id)
        try:
            # Most who ask have just posted: the end is looked at before a backlog is read through.
            latest = tail.last(self._settings, FEEDBACK_EVENTS, partition, _SEARCHED_FIRST, _TIMEOUT_S)
            backlog = tail.records_from(self._settings, FEEDBACK_EVENTS, partition, from_offset, _TIMEOUT_S)
            for record in chain(reversed(latest), backlog):
                if record.key == key and record.offset >= from_offset:
                    return _sighting(record, event_id, "received")
        except KafkaRuntimeError as error:
            raise SourceAway(str(error)) from error
        return None

    def dead_lettered(self, event_id: str) -> Sighting | None:
        """The event, if it could not be processed and is among the partition's latest. Raises SourceAway."""
        key, partition = event_id.encode(), self._partition(event_id)
        try:
            latest = tail.last(self._settings, FEEDBACK_DEAD_LETTER, partition, _DEAD_LETTERS_SEARCHED, _TIMEOUT_S)
        except KafkaRuntimeError as error:
            raise SourceAway(str(error)) from error
        found = next((record for record in reversed(latest) if record.key == key), None)
        return None if found is None else _sighting(found, event_id, "dead_lettered")

    def _partition(self, event_id: str) -> int:
        return partition_for(event_id.encode(), self._settings.partitions)


def _sighting(record: Record, event_id: str, status: Literal["received", "dead_lettered"]) -> Sighting:
    try:
        event = Feedback.parse(record.value or b"")
        model, received_at = event.model, event.received_at
    except ValueError:  # a dead letter need not be an event
        model, received_at = "", datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    return Sighting(event_id, model, status, received_at, reason=cloud_events.header(record.headers, "dlq_reason"))
