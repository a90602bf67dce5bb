"""What inference counts and times, for Prometheus."""

from telemetry import metrics

PREDICTIONS = metrics.counter("flywheel_inference_predictions_total", "Rows answered.", ("model", "version", "variant"))
LATENCY = metrics.histogram(
    "flywheel_inference_latency_seconds", "From a request's arrival to its answers.", ("model", "version", "variant")
)
SWAPS = metrics.counter("flywheel_inference_swaps_total", "Versions that began to serve.", ("model",))
SWAP_SECONDS = metrics.histogram("flywheel_inference_swap_seconds", "From the wish to the swap.", ("model",))
FRESHNESS = metrics.histogram(
    "flywheel_inference_trigger_to_serving_seconds",
    "From the threshold that was reached to the version that learned from it serving here.",
    ("model",),
    buckets=(5, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600),
)
REFUSED = metrics.counter("flywheel_inference_refused_total", "Versions refused or not to be had.", ("model", "kind"))
PUBLISHED = metrics.counter("flywheel_inference_published_total", "Predictions that Kafka has acknowledged.")
DROPPED = metrics.counter("flywheel_inference_dropped_total", "Predictions that never reach Kafka.", ("reason",))
SPOOLED = metrics.counter("flywheel_inference_spooled_total", "Predictions written to the spool.")
MODEL_BYTES = metrics.gauge(
    "flywheel_inference_model_bytes", "Loaded versions; role is serving, or kept for a rollback.", ("role",)
)
SPOOL_BYTES = metrics.gauge("flywheel_inference_spool_bytes", "Size of the spool on disk.")
REFUSED_REQUESTS = metrics.counter("flywheel_inference_overload_total", "Requests turned away beyond capacity.")


class Measures:
    """The metrics behind the ports; label children are looked up once."""

    def __init__(self) -> None:
        self._children: dict[tuple[str, str, str], tuple[object, object]] = {}

    def swapped(self, model: str, seconds: float) -> None:
        """A version began to serve."""
        SWAPS.labels(model).inc()
        SWAP_SECONDS.labels(model).observe(seconds)

    def serves_after(self, model: str, seconds: float) -> None:
        """A version that a threshold led to began to serve."""
        FRESHNESS.labels(model).observe(seconds)

    def refused(self, model: str, kind: str) -> None:
        """A version was refused."""
        REFUSED.labels(model, kind).inc()

    def answered(self, model: str, version: str, variant: str, rows: int, seconds: float) -> None:
        """One request was answered."""
        key = (model, version, variant)
        pair = self._children.get(key)
        if pair is None:
            pair = self._children[key] = (PREDICTIONS.labels(*key), LATENCY.labels(*key))
        pair[0].inc(rows)  # type: ignore[attr-defined]  # prometheus_client has no public type of a child
        pair[1].observe(seconds)  # type: ignore[attr-defined]  # likewise

    def published(self, rows: int) -> None:
        """Acknowledged by Kafka."""
        PUBLISHED.inc(rows)

    def dropped(self, rows: int, reason: str) -> None:
        """Lost."""
        DROPPED.labels(reason).inc(rows)

    def spooled(self, rows: int, bytes_on_disk: int) -> None:
        """Kept on disk."""
        SPOOLED.inc(rows)
        SPOOL_BYTES.set(bytes_on_disk)
