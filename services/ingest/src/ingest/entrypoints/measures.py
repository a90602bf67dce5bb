"""What the ingest service counts."""

from telemetry import metrics

REQUESTS = metrics.counter(
    "flywheel_ingest_requests_total", "Requests that post feedback, by endpoint and status.", ["endpoint", "status"]
)
ACCEPTED = metrics.counter(
    "flywheel_ingest_events_accepted_total", "Events that Kafka has acknowledged, by model.", ["model"]
)
REFUSED = metrics.counter("flywheel_ingest_events_refused_total", "Events that were not taken, by reason.", ["reason"])
PUBLISH_S = metrics.histogram(
    "flywheel_ingest_publish_seconds", "From a checked event (or batch) to Kafka's acknowledgement."
)
KAFKA_UP = metrics.gauge("flywheel_ingest_kafka_up", "1 while Kafka can be written to, as far as is known.")
