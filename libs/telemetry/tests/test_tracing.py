import pytest

from telemetry import tracing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_span_continues_the_parent_from_a_header():
    with tracing.span("work", parent=PARENT):
        version, trace_id, span_id, flags = tracing.current_traceparent().split("-")
    assert (version, trace_id, flags) == ("00", "0af7651916cd43dd8448eb211c80319c", "01")
    assert span_id != "b7ad6b7169203331"


@pytest.mark.parametrize(
    "broken",
    ["", "nonsense", PARENT.upper(), "ff" + PARENT[2:], PARENT + "-00", "00-" + "0" * 32 + "-b7ad6b7169203331-01"],
)
def test_a_broken_parent_starts_a_new_trace(broken):
    with tracing.span("work", parent=broken):
        assert "0af7651916cd43dd8448eb211c80319c" not in tracing.current_traceparent()
    assert "0af7651916cd43dd8448eb211c80319c" not in tracing.continue_trace(broken)


def test_a_later_version_of_the_header_is_read_as_far_as_it_is_known():
    assert tracing.continue_trace("01" + PARENT[2:] + "-new").startswith("00-0af7651916cd43dd8448eb211c80319c-")


def test_spans_nest_without_a_collector():
    with tracing.span("outer"):
        outer = tracing.current_traceparent()
        with tracing.span("inner"):
            inner = tracing.current_traceparent()
        assert tracing.current_traceparent() == outer
    assert outer.split("-")[1] == inner.split("-")[1]
    assert outer.split("-")[2] != inner.split("-")[2]
    assert tracing.current_traceparent_or_none() is None


def test_continue_trace_keeps_the_trace_and_names_a_new_span():
    child = tracing.continue_trace(PARENT)
    assert child.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert child.endswith("-01")
    assert child != PARENT
    assert len(tracing.continue_trace(None)) == len(PARENT)


def test_a_recorded_span_has_its_parent_links_kind_and_attributes(spans):
    link = "00-11111111111111111111111111111111-2222222222222222-01"
    with tracing.span(
        "publish feedback-events",
        kind=tracing.SpanKind.PRODUCER,
        parent=PARENT,
        links=[link, "broken"],
        attributes={"messaging.system": "kafka"},
    ):
        pass
    (span,) = spans()
    assert format(span.context.trace_id, "032x") == "0af7651916cd43dd8448eb211c80319c"
    assert format(span.parent.span_id, "016x") == "b7ad6b7169203331"
    assert [format(each.context.span_id, "016x") for each in span.links] == ["2222222222222222"]
    assert span.kind is tracing.SpanKind.PRODUCER
    assert span.attributes["messaging.system"] == "kafka"


def test_an_exception_is_recorded_and_goes_on(spans):
    with pytest.raises(RuntimeError), tracing.span("work"):
        raise RuntimeError("broken")
    (span,) = spans()
    assert not span.status.is_ok
    assert span.events[0].name == "exception"


def test_configure_without_an_endpoint_records_nothing():
    tracing.configure("ingest", None)
    assert not tracing.is_recording()
    with tracing.span("work") as span:
        assert not span.is_recording()


def test_of_all_requests_those_that_the_sampler_keeps_are_recorded_and_no_others(request, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.3")
    spans = request.getfixturevalue("spans")
    kept = 0
    for _ in range(500):
        if tracing.continue_unless_kept(None) is None:
            kept += 1
            with tracing.span("answer"):
                pass
    assert 80 < kept < 220
    assert len(spans()) == kept
    assert len({span.context.trace_id for span in spans()}) == kept


def test_a_trace_that_its_caller_keeps_is_recorded_and_one_that_nobody_keeps_goes_on_unrecorded(request, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    request.getfixturevalue("spans")
    assert tracing.continue_unless_kept(PARENT) is None
    below = tracing.continue_unless_kept(PARENT[:-2] + "00")
    assert below.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert below.endswith("-00")
    assert tracing.continue_unless_kept(None).endswith("-00")


def test_without_a_collector_nothing_is_asked_and_ids_go_on():
    assert tracing.continue_unless_kept(PARENT).startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert tracing.continue_unless_kept(None) is not None
