"""What the ingest service counts: in plain numbers while it works, as Prometheus metrics when asked."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from telemetry.metrics import LATENCY_BUCKETS_S, gauge

KAFKA_UP = gauge("flywheel_ingest_kafka_up", "1 while Kafka can be written to, as far as is known.")


class Tally:
    """Counts for one event loop; a metric object per event and label costs more than checking the event."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._accepted: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._buckets = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self._publish_s = 0.0

    def answered(self, endpoint: str, status: int) -> None:
        """A request was answered with `status`."""
        self._requests[endpoint, status] += 1

    def accepted(self, model: str) -> None:
        """Kafka has acknowledged an event."""
        self._accepted[model] += 1

    def all_accepted(self, models: Iterable[str]) -> None:
        """Kafka has acknowledged events of these models."""
        self._accepted.update(models)

    def refused(self, reason: str) -> None:
        """An event, or a whole request, was not taken."""
        self._refused[reason] += 1

    def published_in(self, seconds: float) -> None:
        """Kafka's acknowledgement took this long."""
        self._buckets[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        self._publish_s += seconds

    def collect(self) -> Iterator[Metric]:
        """The metrics, for Prometheus' registry."""
        requests = CounterMetricFamily(
            "flywheel_ingest_requests", "Requests that post feedback.", labels=["endpoint", "status"]
        )
        for (endpoint, status), count in list(self._requests.items()):
            requests.add_metric([endpoint, str(status)], count)
        yield requests
        yield _labelled("accepted", "Events that Kafka has acknowledged, by model.", "model", self._accepted)
        yield _labelled("refused", "Events (or whole requests) that were not taken.", "reason", self._refused)
        yield self._histogram()

    def _histogram(self) -> Metric:
        publish = HistogramMetricFamily(
            "flywheel_ingest_publish_seconds", "From a checked event (or batch) to Kafka's acknowledgement."
        )
        below, cumulative = 0, []
        for bound, count in zip((*map(str, LATENCY_BUCKETS_S), "+Inf"), self._buckets, strict=True):
            below += count
            cumulative.append((bound, below))
        publish.add_metric([], cumulative, self._publish_s)
        return publish


def _labelled(what: str, documentation: str, label: str, counts: Counter[str]) -> Metric:
    family = CounterMetricFamily(f"flywheel_ingest_events_{what}", documentation, labels=[label])
    for value, count in list(counts.items()):
        family.add_metric([value], count)
    return family


TALLY = Tally()
REGISTRY.register(TALLY)
