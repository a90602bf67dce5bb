from flywheel_schemas.topics import FEEDBACK_EVENTS
from kafka_runtime import messaging
from kafka_runtime.record import Record
from telemetry import tracing

TOPIC = FEEDBACK_EVENTS.name


def cause(number: int, flags: str = "01") -> str:
    return f"00-{number:032x}-{number:016x}-{flags}"


def test_sending_is_a_producer_span_whose_context_the_record_carries(spans):
    with messaging.sending(FEEDBACK_EVENTS, message_id="e-1"):
        carried = tracing.current_traceparent()
    (span,) = spans()
    assert (span.name, span.kind) == (f"send {TOPIC}", tracing.SpanKind.PRODUCER)
    assert carried.split("-")[2] == format(span.context.span_id, "016x")
    assert span.attributes["messaging.system"] == "kafka"
    assert span.attributes["messaging.message.id"] == "e-1"


def test_one_record_is_processed_below_the_span_that_sent_it(spans):
    record = Record(TOPIC, 3, 42, b"k", b"v", [("traceparent", cause(7).encode())])
    with messaging.processing(record, "trainers"):
        pass
    (span,) = spans()
    assert (span.name, span.kind) == (f"process {TOPIC}", tracing.SpanKind.CONSUMER)
    assert span.parent.span_id == 7
    assert span.attributes["messaging.destination.partition.id"] == "3"
    assert span.attributes["messaging.kafka.offset"] == 42
    assert span.attributes["messaging.consumer.group.name"] == "trainers"


def test_a_batch_goes_on_in_its_first_records_trace_and_links_the_others(spans):
    with messaging.processing_batch(TOPIC, [cause(1), cause(2), cause(3)], records=500):
        pass
    (span,) = spans()
    assert span.context.trace_id == 1
    assert [link.context.trace_id for link in span.links] == [2, 3]
    assert span.attributes["messaging.batch.message_count"] == 500


def headers_of(*causes: str) -> list[list[tuple[str, bytes]]]:
    return [[("traceparent", each.encode())] for each in causes]


def test_a_batch_names_a_bounded_number_of_different_causes_that_somebody_records(spans):
    found = messaging.causes([[], *headers_of(cause(9999, "00"), *(cause(n // 2 + 1) for n in range(1000)))])
    assert found == [cause(n) for n in range(1, messaging.MAX_LINKS + 1)]


def test_where_nothing_is_recorded_only_the_first_record_is_looked_at():
    headers = iter(headers_of(cause(1, "00"), cause(2), cause(3)))
    assert messaging.causes(headers) == [cause(1, "00")]
    assert len(list(headers)) == 2
