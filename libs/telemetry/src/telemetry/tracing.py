"""W3C trace context through HTTP and Kafka, with OpenTelemetry behind it when somebody collects the spans.

Without a collector nothing is recorded, but ids are still made and handed on, so logs of all services
can be joined by trace_id.
"""

import random
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.util.types import AttributeValue

__all__ = [
    "Running",
    "Span",
    "SpanKind",
    "Status",
    "StatusCode",
    "configure",
    "continue_trace",
    "continue_unless_kept",
    "current_traceparent",
    "current_traceparent_or_none",
    "is_recording",
    "shutdown",
    "span",
]

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
Running = AbstractContextManager[Span]
_provider: TracerProvider | None = None
_tracer: trace.Tracer | None = None


class _Ids(RandomIdGenerator):
    """Random ids, but first those that the sampler has said to keep, so that no request is drawn for twice."""

    def __init__(self) -> None:
        self.kept: deque[int] = deque(maxlen=1000)

    def generate_trace_id(self) -> int:
        try:
            return self.kept.popleft()
        except IndexError:
            return super().generate_trace_id()


_ids = _Ids()


def configure(service: str, endpoint: str | None) -> None:
    """Record spans as `service` and send them to the OTLP/HTTP collector at `endpoint`; None records nothing."""
    if endpoint is None:
        shutdown()
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    record_to(service, OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces"))


def record_to(service: str, exporter: SpanExporter) -> None:
    """Record spans as `service` and give them to `exporter` in batches."""
    global _provider, _tracer  # noqa: PLW0603 - one recorder a process, like the logs
    shutdown()
    resource = Resource.create({"service.name": service, "service.namespace": "flywheel"})
    _provider = TracerProvider(resource=resource, id_generator=_ids)
    _provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = _provider.get_tracer("flywheel")


def shutdown() -> None:
    """Send what is still unsent, and record nothing from now on."""
    global _provider, _tracer  # noqa: PLW0603 - one recorder a process, like the logs
    _ids.kept.clear()
    if _provider is not None:
        _provider.shutdown()
    _provider = _tracer = None


def is_recording() -> bool:
    """Whether spans are collected at all; hot paths that only hand ids on ask this first."""
    return _tracer is not None


def current_traceparent() -> str:
    """The running span as a W3C traceparent; a new root's where none is running."""
    return current_traceparent_or_none() or continue_trace(None)


def current_traceparent_or_none() -> str | None:
    """The running span as a W3C traceparent, or None where none is running."""
    running = trace.get_current_span().get_span_context()
    return _format(running) if running.is_valid else None


def continue_trace(parent: str | None) -> str:
    """A new span's traceparent, below `parent` if that is a valid one, else at the root. Makes no span object."""
    above = _parse(parent) if parent else None
    if above is None:
        ids = f"{random.getrandbits(192):048x}"
        return f"00-{ids[:32]}-{ids[32:]}-00"
    return _below(above.trace_id, above.trace_flags)


def continue_unless_kept(parent: str | None) -> str | None:
    """`continue_trace` for whoever makes no spans; None where a span is to be made, since the sampler keeps this trace.

    Samplers that look at parent and trace id alone (all of the SDK's own) are obeyed exactly: a new trace that is to be
    kept lends its id to the next root span.
    """
    if _provider is None:
        return continue_trace(parent)
    context = _context_of(parent) or otel_context.Context()
    above = trace.get_current_span(context).get_span_context()
    trace_id = above.trace_id if above.is_valid else random.getrandbits(128) or 1
    if _provider.sampler.should_sample(context, trace_id, "").decision is Decision.DROP:
        return _below(trace_id, TraceFlags.DEFAULT)
    if not above.is_valid:
        _ids.kept.append(trace_id)
    return None


@contextmanager
def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: str | None = None,
    links: Sequence[str] = (),
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Iterator[Span]:
    """Run the block in a span called `name`.

    `parent` is a traceparent from outside (a header); None takes the running span. `links` are
    traceparents of what led to this without being its parent (the producers of a batch). Invalid
    ones count as absent. An exception that leaves the block is recorded, and goes on.
    """
    context = _context_of(parent)
    if _tracer is None:
        with trace.use_span(_unrecorded(context), record_exception=False, set_status_on_exception=False) as running:
            yield running
        return
    linked = [Link(remote) for link in links if (remote := _parse(link))]
    with _tracer.start_as_current_span(name, context=context, kind=kind, links=linked, attributes=attributes) as begun:
        yield begun


def _below(trace_id: int, flags: int) -> str:
    return f"00-{trace_id:032x}-{random.getrandbits(64):016x}-{flags:02x}"


def _context_of(parent: str | None) -> otel_context.Context | None:
    remote = _parse(parent) if parent else None
    return trace.set_span_in_context(NonRecordingSpan(remote)) if remote else None


def _unrecorded(context: otel_context.Context | None) -> Span:
    above = trace.get_current_span(context).get_span_context()
    trace_id = above.trace_id if above.is_valid else random.getrandbits(128) or 1
    flags = above.trace_flags if above.is_valid else TraceFlags(TraceFlags.DEFAULT)
    span_id = random.getrandbits(64) or 1
    return NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags))


def _parse(traceparent: str) -> SpanContext | None:
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    sampled = TraceFlags(int(match[4], 16) & TraceFlags.SAMPLED)
    context = SpanContext(int(match[2], 16), int(match[3], 16), is_remote=True, trace_flags=sampled)
    return context if context.is_valid else None


def _format(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & _SAMPLED:02x}"
