"""Prometheus metrics in the process-wide registry, with names that say their unit."""

from collections.abc import Sequence

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

LATENCY_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PREFIX = "flywheel_"
# When a series began is of no use here, and would double their number.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client has no types here
# One time series per user or event would drown the server that scrapes them.
_UNBOUNDED = frozenset({"user_id", "user_hash", "event_id", "prediction_id", "trace_id"})


def counter(name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
    """A counter; `name` starts with flywheel_ and ends with _total. Raises ValueError for another name."""
    _check(name, labels)
    if not name.endswith("_total"):
        raise ValueError(f"the counter {name} needs a name that ends with _total")
    return Counter(name, documentation, labels)


def gauge(name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
    """A gauge; `name` starts with flywheel_. Raises ValueError for another name."""
    _check(name, labels)
    return Gauge(name, documentation, labels)


def histogram(
    name: str, documentation: str, labels: Sequence[str] = (), buckets: Sequence[float] = LATENCY_BUCKETS_S
) -> Histogram:
    """A histogram; `name` starts with flywheel_ and ends with its unit. Raises ValueError for another name."""
    _check(name, labels)
    if not name.endswith(("_seconds", "_bytes", "_rows", "_events", "_ratio")):
        raise ValueError(f"the histogram {name} needs a name that ends with its unit, such as _seconds or _bytes")
    return Histogram(name, documentation, labels, buckets=tuple(buckets))


def render() -> tuple[bytes, str]:
    """What /metrics answers: the body and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST


def _check(name: str, labels: Sequence[str]) -> None:
    if not name.startswith(_PREFIX):
        raise ValueError(f"the metric {name} needs a name that starts with {_PREFIX}")
    if unbounded := _UNBOUNDED.intersection(labels):
        raise ValueError(f"the metric {name} must not have the label {', '.join(sorted(unbounded))}: one series each")
