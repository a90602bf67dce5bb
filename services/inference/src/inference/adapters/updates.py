"""The topic model-updated, handed to the keeper."""

from collections.abc import Callable

from pydantic import ValidationError

from flywheel_schemas.events import ModelUpdated
from flywheel_schemas.topics import MODEL_UPDATED
from inference.application.keep import Heard
from kafka_runtime import cloud_events
from kafka_runtime.follower import Follower
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings
from telemetry import logging

log = logging.get(__name__)


class Updates:
    """Follows the topic from its beginning; an event counts as live once all older ones were handed on."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._follower = Follower(settings, MODEL_UPDATED)

    @property
    def caught_up(self) -> bool:
        """Whether all that was there at the start has been handed on."""
        return self._follower.caught_up.is_set()

    def start(self, hear: Callable[[Heard], None]) -> None:
        """Begin."""

        def on_record(record: Record) -> None:
            if record.value is None:
                return
            try:
                event = ModelUpdated.parse(record.value)
            except ValidationError as exc:
                log.error("model_update_unreadable", partition=record.partition, offset=record.offset, reason=str(exc))
                return
            hear(Heard(event, self.caught_up, cloud_events.traceparent(record.headers)))

        self._follower.start(on_record)

    def close(self) -> None:
        """End."""
        self._follower.close(2.0)
