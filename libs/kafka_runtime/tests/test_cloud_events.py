from datetime import UTC, datetime, timedelta, timezone

from flywheel_schemas.topics import MODEL_UPDATED
from kafka_runtime import cloud_events

_NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_an_event_has_the_attributes_of_cloudevents_in_binary_mode() -> None:
    assert dict(cloud_events.headers(MODEL_UPDATED, "e-1", "trainer", _NOON, _TRACE)) == {
        "ce_specversion": b"1.0",
        "ce_id": b"e-1",
        "ce_source": b"trainer",
        "ce_type": b"dev.flywheel.model-updated.v1",
        "ce_time": b"2026-11-24T12:00:00Z",
        "content-type": b"application/json",
        "traceparent": _TRACE.encode(),
    }


def test_without_a_trace_there_is_no_traceparent() -> None:
    headers = cloud_events.headers(MODEL_UPDATED, "e-1", "trainer", _NOON, None)
    assert cloud_events.traceparent(headers) is None


def test_times_are_written_in_utc() -> None:
    eastern = _NOON.astimezone(timezone(timedelta(hours=-5)))
    assert dict(cloud_events.headers(MODEL_UPDATED, "e", "s", eastern, None))["ce_time"] == b"2026-11-24T12:00:00Z"


def test_the_trace_is_read_back_from_the_headers() -> None:
    headers = cloud_events.headers(MODEL_UPDATED, "e-1", "trainer", _NOON, _TRACE)
    assert cloud_events.traceparent(headers) == _TRACE


def test_a_header_that_is_no_text_does_not_stop_a_reader() -> None:
    assert cloud_events.traceparent([("traceparent", b"\xff\xfe")]) == "\ufffd\ufffd"
    assert cloud_events.traceparent([("traceparent", None)]) is None
