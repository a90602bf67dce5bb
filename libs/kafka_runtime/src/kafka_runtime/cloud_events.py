"""CloudEvents 1.0 on Kafka, binary mode: the event's attributes are headers, the value is the data alone."""

from collections.abc import Iterable
from datetime import UTC, datetime

from flywheel_schemas.topics import Topic
from kafka_runtime.record import Headers

_SPEC_VERSION = ("ce_specversion", b"1.0")
_JSON = ("content-type", b"application/json")


def headers(topic: Topic, event_id: str, source: str, time: datetime, traceparent: str | None) -> Headers:
    """The headers of one event of `topic`. `time` must be aware; it is written in UTC."""
    found: Headers = [
        _SPEC_VERSION,
        ("ce_id", event_id.encode()),
        ("ce_source", source.encode()),
        ("ce_type", topic.ce_type.encode()),
        ("ce_time", rfc3339(time).encode()),
        _JSON,
    ]
    if traceparent:
        found.append(("traceparent", traceparent.encode()))
    return found


def traceparent(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    """The W3C trace context among the headers, unchecked; None where there is none."""
    return header(headers, "traceparent")


def header(headers: Iterable[tuple[str, bytes | None]], name: str) -> str | None:
    """The last header of that name as text; None where there is none. Bytes that are not UTF-8 are replaced."""
    found: bytes | None = None
    for key, value in headers:
        if key == name:
            found = value
    return None if found is None else found.decode("utf-8", "replace")


def rfc3339(moment: datetime) -> str:
    """`moment` in UTC, such as 2026-11-24T12:00:00.000001Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
