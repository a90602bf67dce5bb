"""Telling others, on the low-volume topics."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from typing_extensions import override

from flywheel_schemas.events import DatasetCommitted, ThresholdReached
from flywheel_schemas.topics import DATASET_COMMITTED, THRESHOLD_REACHED
from kafka_runtime import cloud_events, messaging
from kafka_runtime.errors import BrokerUnavailable
from kafka_runtime.publisher import Publisher
from stream_processor.application.ports import Announcements
from telemetry import tracing

SOURCE = "/flywheel/stream-processor"


class KafkaAnnouncements(Announcements):
    """Publishes with acknowledgements; the same announcement again has the same ce_id."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    @override
    def dataset_committed(self, events: Sequence[DatasetCommitted]) -> None:
        with messaging.sending(DATASET_COMMITTED, batch=len(events)):
            self._send(events, tracing.current_traceparent())

    def _send(self, events: Sequence[DatasetCommitted], traceparent: str) -> None:
        failures: list[Any] = []

        def delivered(error: Any, _: Any) -> None:
            if error is not None:
                failures.append(error)

        for event in events:
            name = f"{event.topic}/{event.partition}/{event.last_offset}/{event.model}"
            headers = cloud_events.headers(
                DATASET_COMMITTED, str(uuid5(NAMESPACE_URL, name)), SOURCE, datetime.now(UTC), traceparent
            )
            self._publisher.send_raw(DATASET_COMMITTED, event.model.encode(), event.encode(), headers, delivered)
        if self._publisher.flush(10.0):
            raise BrokerUnavailable(DATASET_COMMITTED.name, 1.0)
        if failures:
            raise self._publisher.failure(DATASET_COMMITTED, failures[0])

    @override
    def threshold_reached(self, event: ThresholdReached) -> None:
        self._publisher.publish(THRESHOLD_REACHED, event.model, event, event_id=str(event.trigger_id))
