"""Spans around Kafka, by OpenTelemetry's semantic conventions for messaging: `send`, `process`, links in batches."""

from collections.abc import Iterable, Sequence

from flywheel_schemas.topics import Topic
from kafka_runtime import cloud_events
from kafka_runtime.record import Record, topic_name
from telemetry import tracing

MAX_LINKS = 128
"""How many causes one span names: what OpenTelemetry keeps of the links of a span."""
Attributes = dict[str, str | int]


def sending(topic: Topic | str, *, message_id: str | None = None, batch: int | None = None) -> tracing.Running:
    """A span around sending one record, or `batch` of them. Inside it, the running span is what headers carry."""
    attributes = _attributes("send", topic_name(topic))
    if message_id is not None:
        attributes["messaging.message.id"] = message_id
    if batch is not None:
        attributes["messaging.batch.message_count"] = batch
    return tracing.span(f"send {topic_name(topic)}", kind=tracing.SpanKind.PRODUCER, attributes=attributes)


def handling(topic: Topic, traceparent: str | None) -> tracing.Running:
    """A span around what follows from one record that was read before, below the span that sent it."""
    return _process(topic.name, traceparent, (), _attributes("process", topic.name), None)


def processing(record: Record, group: str | None = None) -> tracing.Running:
    """A span around handling one record, below the span that sent it."""
    attributes = _attributes("process", record.topic) | {
        "messaging.destination.partition.id": str(record.partition),
        "messaging.kafka.offset": record.offset,
    }
    return _process(record.topic, cloud_events.traceparent(record.headers), (), attributes, group)


def processing_batch(topic: str, causes: Sequence[str], records: int, group: str | None = None) -> tracing.Running:
    """A span around handling `records` of a topic together.

    It goes on in the trace of the first of `causes` (traceparents), so that one trace leads from a request to what
    came of it, and links the others.
    """
    attributes = _attributes("process", topic) | {"messaging.batch.message_count": records}
    return _process(topic, causes[0] if causes else None, causes[1:], attributes, group)


def causes(headers: Iterable[Iterable[tuple[str, bytes]]]) -> list[str]:
    """The different traceparents in the headers of records that somebody records, the first MAX_LINKS of them.

    Where this process records nothing, only the first record's: its id is all that logs need.
    """
    found: dict[str, None] = {}
    recording = tracing.is_recording()
    for each in headers:
        traceparent = cloud_events.traceparent(each)
        if traceparent is not None and (traceparent.endswith("-01") or not recording):
            found[traceparent] = None
        if len(found) == MAX_LINKS or not recording:
            break
    return list(found)


def _process(
    topic: str, parent: str | None, links: Iterable[str], attributes: Attributes, group: str | None
) -> tracing.Running:
    if group is not None:
        attributes["messaging.consumer.group.name"] = group
    return tracing.span(
        f"process {topic}", kind=tracing.SpanKind.CONSUMER, parent=parent, links=[*links], attributes=attributes
    )


def _attributes(operation: str, topic: str) -> Attributes:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
    }
