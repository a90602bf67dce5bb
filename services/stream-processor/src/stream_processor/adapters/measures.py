"""The processor's metrics."""

import time

from stream_processor.application.flush import Decided
from telemetry import metrics

RECORDS = metrics.counter("flywheel_processor_records_total", "Records acknowledged, by topic", ["topic"])
EVENTS = metrics.counter(
    "flywheel_processor_events_total",
    "Events by what became of them: stored, duplicate, quarantined or dead_letter",
    ["topic", "outcome"],
)
FLUSH_SECONDS = metrics.histogram(
    "flywheel_processor_flush_seconds", "From the beginning of a flush's writing to its acknowledged offsets", ["topic"]
)
FLUSH_ROWS = metrics.histogram(
    "flywheel_processor_flush_rows",
    "Records per flush",
    ["topic"],
    buckets=(1, 10, 100, 1_000, 10_000, 50_000, 200_000),
)
LAST_FLUSH = metrics.gauge("flywheel_processor_last_flush_timestamp_seconds", "When a flush last ended", ["topic"])


def flushed(topic: str, decided: Decided, seconds: float) -> None:
    """Count one flush that is done."""
    RECORDS.labels(topic).inc(decided.records)
    FLUSH_SECONDS.labels(topic).observe(seconds)
    FLUSH_ROWS.labels(topic).observe(decided.records)
    LAST_FLUSH.labels(topic).set(time.time())
    for flush in decided.flushes:
        EVENTS.labels(topic, "stored").inc(flush.rows.num_rows)
        EVENTS.labels(topic, "duplicate").inc(sum(len(offsets) for offsets in flush.duplicates.values()))
        EVENTS.labels(topic, "quarantined").inc(sum(len(offsets) for offsets in flush.quarantined.values()))
    EVENTS.labels(topic, "dead_letter").inc(len(decided.dead_letters))
