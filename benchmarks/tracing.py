"""bench.tracing.*: what tracing costs ingest, inference and the processor, on, on for some traces, and off, in one run.

On means recorded and sent to a collector that throws everything away. Off is compared with nothing else than what is
done per request, since the same code without it does not exist.
"""

import json
import statistics
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks import ingest, processes, replicas
from benchmarks.load import Load, measure
from benchmarks.results import Row
from flywheel_schemas.spec import parse_spec
from kafka_runtime import messaging
from stream_processor.adapters.formats import FeedbackFormat
from stream_processor.domain.routing import ModelRules
from telemetry import tracing

_ROUNDS, _SECONDS, _WARM_UP_S = 5, 3.0, 5.0
_FLUSH = 50_000
_SAMPLED = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
_Modes = Mapping[str, Mapping[str, str]]  # how tracing is set, by name


def run(env: Mapping[str, str]) -> list[Row]:
    """Five rows, in about three minutes."""
    full = {**env, "FEEDBACK_TOKEN_KEY": env.get("FEEDBACK_TOKEN_KEY", "benchmark-benchmark")}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": stack.enter_context(_sink())}
        modes: _Modes = {"off": {}, "on": endpoint, "sampled": endpoint | _SAMPLED}
        return [*_ingest(full, modes, folder / "ingest"), *_predict(full, modes, folder / "predict"), _processor()]


def _ingest(env: Mapping[str, str], modes: _Modes, folder: Path) -> list[Row]:
    bodies = [json.dumps(event, separators=(",", ":")) for event in ingest.events(500)]
    with ExitStack() as stack:
        urls = {
            mode: stack.enter_context(ingest.serving({**env, **own}, folder / mode)) + "/v1/feedback"
            for mode, own in modes.items()
        }
        done_us = _microseconds(lambda: tracing.continue_unless_kept(None))
        return _rows("ingest", urls, bodies, done_us)


def _predict(env: Mapping[str, str], modes: _Modes, folder: Path) -> list[Row]:
    versions = replicas.Versions.register(env)
    with ExitStack() as stack:
        running = {
            mode: stack.enter_context(replicas.running({**env, **own}, folder / mode)) for mode, own in modes.items()
        }
        versions.announce(versions.pair[0])
        processes.until(lambda: all(each.serves(versions.pair[0]) for each in running.values()))
        done_us = _microseconds(lambda: tracing.continue_unless_kept(None))
        return _rows("predict", {mode: each.predict for mode, each in running.items()}, replicas.bodies(1), done_us)


def _rows(name: str, urls: Mapping[str, str], bodies: list[str], off_us: float) -> list[Row]:
    """Requests a second in each mode, measured in turns; `off_us` is what is done per request without tracing."""
    for url in urls.values():
        measure(Load(url, bodies, seconds=_WARM_UP_S))
    found = [{mode: measure(Load(url, bodies, seconds=_SECONDS)) for mode, url in urls.items()} for _ in range(_ROUNDS)]
    rates = {mode: statistics.median(each[mode].per_second for each in found) for mode in urls}
    off = rates["off"]
    notes = {
        "on": f"every trace, against off; off, ids take {off_us:.2f} us, {off_us * off / 1e4:.1f} % of a request",
        "sampled": "one trace in a hundred, against off",
    }
    return [
        Row(
            f"bench.tracing.{name}" if mode == "on" else f"bench.tracing.{name}_{mode}",
            value=round(rates[mode]),
            unit="requests/s",
            reference=round(off),
            ratio=round(rates[mode] / off, 3),
            n=sum(each[mode].requests for each in found),
            note=note,
        )
        for mode, note in notes.items()
    ]


def _processor() -> Row:
    rules = {"bench": ModelRules.of(parse_spec(ingest.SPEC))}
    events = [json.dumps({**each, "received_at": each["occurred_at"]}).encode() for each in ingest.events(_FLUSH)]
    headers = [[("ce_id", b"x"), ("traceparent", f"00-{n + 1:032x}-{n + 1:016x}-01".encode())] for n in range(_FLUSH)]
    decode = FeedbackFormat(rules, None).decode
    decoding_s = min(timeit.repeat(lambda: decode(events), number=1, repeat=3, timer=time.process_time))

    def flush() -> None:
        with messaging.processing_batch("feedback-events", messaging.causes(headers), _FLUSH):
            pass

    off_us = _microseconds(flush)
    tracing.record_to("bench", InMemorySpanExporter())
    try:
        on_us = _microseconds(flush)
    finally:
        tracing.shutdown()
    return Row(
        "bench.tracing.processor",
        value=round(on_us / 1e3, 3),
        unit="ms",
        reference=round(decoding_s * 1e3, 1),
        ratio=round(on_us / 1e6 / decoding_s, 5),
        n=_FLUSH,
        note=f"a flush's span with its links, against decoding the {_FLUSH:,} events of it; off {off_us:.0f} us",
    )


def _microseconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    return min(timeit.repeat(work, number=1000, repeat=5, timer=time.process_time)) * 1e3


@contextmanager
def _sink() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
