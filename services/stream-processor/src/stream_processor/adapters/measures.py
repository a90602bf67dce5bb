"""The processor's metrics."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric

from stream_processor.application.flush import Decided
from telemetry import metrics

RECORDS = metrics.counter("flywheel_processor_records_total", "Records acknowledged, by topic.", ["topic"])
EVENTS = metrics.counter(
    "flywheel_processor_events_total",
    "Events by what became of them: stored, duplicate, quarantined or dead_letter (of no known model).",
    ["topic", "model", "outcome"],
)
FLUSH_SECONDS = metrics.histogram(
    "flywheel_processor_flush_seconds",
    "From the beginning of a flush's writing to its acknowledged offsets.",
    ["topic"],
)
FLUSH_ROWS = metrics.histogram(
    "flywheel_processor_flush_rows",
    "Records per flush.",
    ["topic"],
    buckets=(1, 10, 100, 1_000, 10_000, 50_000, 200_000),
)
LAST_FLUSH = metrics.gauge("flywheel_processor_last_flush_timestamp_seconds", "When a flush last ended.", ["topic"])
EXPIRED = metrics.counter(
    "flywheel_processor_expired_records_total", "Records that Kafka deleted before they were read: lost.", ["topic"]
)
_FRESHNESS_BUCKETS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)


def flushed(topic: str, decided: Decided, seconds: float) -> None:
    """Count one flush that is done."""
    RECORDS.labels(topic).inc(decided.records)
    FLUSH_SECONDS.labels(topic).observe(seconds)
    FLUSH_ROWS.labels(topic).observe(decided.records)
    now = time.time()
    LAST_FLUSH.labels(topic).set(now)
    for flush in decided.flushes:
        EVENTS.labels(topic, flush.model, "stored").inc(flush.rows.num_rows)
        for outcome, offsets in (("duplicate", flush.duplicates), ("quarantined", flush.quarantined)):
            EVENTS.labels(topic, flush.model, outcome).inc(sum(map(len, offsets.values())))
        FRESHNESS.observe(topic, now - _seconds(flush.rows.column("received_at")))
    EVENTS.labels(topic, "", "dead_letter").inc(len(decided.dead_letters))


class Freshness:
    """A histogram that takes a flush's rows at once; one call a row would cost more than storing the row."""

    def __init__(self) -> None:
        self._counts: dict[str, np.ndarray] = {}
        self._sums: dict[str, float] = {}

    def observe(self, topic: str, ages_s: np.ndarray) -> None:
        """Rows that are in the lake, this long after they were received."""
        buckets = np.searchsorted(_FRESHNESS_BUCKETS_S, ages_s)
        counted = np.bincount(buckets, minlength=len(_FRESHNESS_BUCKETS_S) + 1)
        self._counts[topic] = self._counts.get(topic, 0) + counted
        self._sums[topic] = self._sums.get(topic, 0.0) + float(ages_s.sum())

    def collect(self) -> Iterator[Metric]:
        """The histogram, for Prometheus' registry."""
        family = HistogramMetricFamily(
            "flywheel_processor_freshness_seconds",
            "From the receipt of an event to its row in the lake.",
            labels=["topic"],
        )
        bounds = [*map(str, _FRESHNESS_BUCKETS_S), "+Inf"]
        for topic, counts in self._counts.items():
            below = np.cumsum(counts).tolist()
            family.add_metric([topic], list(zip(bounds, below, strict=True)), self._sums[topic])
        yield family


class Lag:
    """How far each partition's end is ahead of the lake. Partitions that went to another process are not told of."""

    def __init__(self) -> None:
        self._sources: dict[str, Callable[[], Mapping[int, int]]] = {}

    def of(self, topic: str, source: Callable[[], Mapping[int, int]]) -> None:
        """Ask `source` for the topic's lag by partition, in records."""
        self._sources[topic] = source

    def collect(self) -> Iterator[Metric]:
        """The gauge, for Prometheus' registry."""
        family = GaugeMetricFamily(
            "flywheel_processor_lag_records",
            "Records that are in the partition and not yet in the lake.",
            labels=["topic", "partition"],
        )
        for topic, source in self._sources.items():
            for partition, records in source().items():
                family.add_metric([topic, str(partition)], records)
        yield family


def _seconds(received_at: Any) -> np.ndarray:
    return np.asarray(received_at.cast(pa.int64()).to_numpy()) / 1e6


FRESHNESS = Freshness()
LAG = Lag()
REGISTRY.register(FRESHNESS)
REGISTRY.register(LAG)
