"""The dashboards: what to look at first, then one for each question."""

from deploy.observability.panels import Dashboard, Panel

_MODEL = {"model": "flywheel_model_traffic_ratio"}
_OF = 'model=~"$model"'
_RATE = "[$__rate_interval]"


def _quantiles(histogram: str, by: str, matching: str = "") -> dict[str, str]:
    """The median and p99 of a histogram."""
    rate = f"sum by (le, {by}) (rate({histogram}_bucket{matching}{_RATE}))"
    return {f"{name} {{{{{by}}}}}": f"histogram_quantile({q}, {rate})" for name, q in (("p50", 0.5), ("p99", 0.99))}


def _mean(histogram: str, by: str, matching: str = "") -> dict[str, str]:
    """The mean since the processes began, for what happens a few times a day."""
    total, count = (f"sum by ({by}) ({histogram}_{what}{matching})" for what in ("sum", "count"))
    return {f"{{{{{by}}}}}": f"{total} / ({count} > 0)"}


def _estimate(title: str, metric: str, by: str, unit: str = "percentunit") -> Panel:
    """A figure with both ends of its interval."""
    legends = {"value": by, "low": f"{by} low", "high": f"{by} high"}
    queries = {legend: f'{metric}{{{_OF},estimate="{end}"}}' for end, legend in legends.items()}
    return Panel(title, queries, unit, minimum=None)


OVERVIEW = Dashboard(
    "overview",
    "overview of the loop",
    [
        Panel("Error budget burning now", {"{{slo}}": "slo:error_ratio:rate5m"}, "percentunit"),
        Panel(
            "Predictions", {"{{model}}": f"sum by (model) (rate(flywheel_inference_predictions_total{_RATE}))"}, "cps"
        ),
        Panel(
            "Feedback: taken and stored",
            {
                "taken": f"sum(rate(flywheel_ingest_events_accepted_total{_RATE}))",
                "{{outcome}}": "sum by (outcome) "
                f'(rate(flywheel_processor_events_total{{topic="feedback-events"}}{_RATE}))',
            },
            "cps",
        ),
        Panel("From receipt to the lake", _quantiles("flywheel_processor_freshness_seconds", "topic"), "s"),
        Panel(
            "From threshold to serving",
            _mean("flywheel_inference_trigger_to_serving_seconds", "model"),
            "s",
            "stat",
        ),
        Panel("Who answers", {"{{model}} {{version}} {{state}}": "flywheel_model_traffic_ratio"}, "percentunit"),
        Panel(
            "Accuracy of what answers, by audits",
            {"{{model}} {{version}}": 'flywheel_model_accuracy_ratio{estimate="value"}'},
            "percentunit",
            minimum=None,
        ),
        Panel(
            "Trainings by outcome, a day",
            {"{{model}} {{outcome}}": "sum by (model, outcome) (increase(flywheel_training_runs_total[1d]))"},
            kind="stat",
        ),
        Panel("Alerts", {"firing": 'count(ALERTS{alertstate="firing"}) or vector(0)'}, kind="stat"),
    ],
)

QUALITY = Dashboard(
    "quality",
    "model quality by version",
    [
        _estimate("Accuracy, with its interval", "flywheel_model_accuracy_ratio", "{{version}}"),
        _estimate("Precision by class", "flywheel_model_precision_ratio", "{{version}} {{class}}"),
        _estimate("Recall by class", "flywheel_model_recall_ratio", "{{version}} {{class}}"),
        _estimate("Satisfaction (1 to 5)", "flywheel_model_satisfaction_rating", "{{version}}", "short"),
        Panel("Audited answers of the window", {"{{version}}": f"flywheel_model_window_audits{{{_OF}}}"}),
        Panel("Answers of the window", {"{{version}}": f"flywheel_model_window_predictions{{{_OF}}}"}),
        Panel("Drift (PSI)", {"{{column}}": f"flywheel_model_drift_psi{{{_OF}}}"}),
        Panel(
            "Drift beyond chance",
            {
                "{{column}}": f"clamp_min(flywheel_model_drift_psi{{{_OF}}} - flywheel_model_drift_psi_noise, 0)",
                "limit": f"flywheel_model_drift_psi_limit{{{_OF}}}",
            },
        ),
        Panel(
            "Quality last looked at", {"{{model}}": f"time() - flywheel_model_measured_timestamp_seconds{{{_OF}}}"}, "s"
        ),
    ],
    _MODEL,
)

ROLLOUT = Dashboard(
    "rollout",
    "rollout",
    [
        Panel("Traffic", {"{{version}} {{state}}": f"flywheel_model_traffic_ratio{{{_OF}}}"}, "percentunit"),
        Panel(
            "Answers by version and variant",
            {
                "{{version}} {{variant}}": "sum by (version, variant) "
                f"(rate(flywheel_inference_predictions_total{{{_OF}}}{_RATE}))"
            },
            "cps",
        ),
        Panel("Latency by version", _quantiles("flywheel_inference_latency_seconds", "version", f"{{{_OF}}}"), "s"),
        Panel(
            "Transitions, a day",
            {"{{action}}": f"sum by (action) (increase(flywheel_rollout_transitions_total{{{_OF}}}[1d]))"},
            kind="stat",
        ),
        Panel("Swaps", {"{{model}}": f"sum by (model) (increase(flywheel_inference_swaps_total{{{_OF}}}[1h]))"}),
        Panel("Duration of a swap", _mean("flywheel_inference_swap_seconds", "model", f"{{{_OF}}}"), "s"),
        Panel("Training now", {"{{model}}": f"flywheel_training_in_progress{{{_OF}}}"}),
        Panel(
            "Stages of a training",
            _mean("flywheel_training_stage_duration_seconds", "stage"),
            "s",
        ),
        Panel(
            "Failed trainings, refused versions",
            {
                "failed": f"sum(increase(flywheel_training_failures_total{{{_OF}}}[1h])) or vector(0)",
                "refused": f"sum(increase(flywheel_inference_refused_total{{{_OF}}}[1h])) or vector(0)",
            },
        ),
    ],
    _MODEL,
)

STREAMS = Dashboard(
    "streams",
    "streams",
    [
        Panel("Lag", {"{{topic}} {{partition}}": "flywheel_processor_lag_records"}),
        Panel("Records", {"{{topic}}": f"sum by (topic) (rate(flywheel_processor_records_total{_RATE}))"}, "cps"),
        Panel(
            "Events by outcome",
            {"{{topic}} {{outcome}}": f"sum by (topic, outcome) (rate(flywheel_processor_events_total{_RATE}))"},
            "cps",
        ),
        Panel("Duration of a flush", _quantiles("flywheel_processor_flush_seconds", "topic"), "s"),
        Panel("Records of a flush", _quantiles("flywheel_processor_flush_rows", "topic")),
        Panel("Since the last flush", {"{{topic}}": "time() - flywheel_processor_last_flush_timestamp_seconds"}, "s"),
        Panel(
            "Not accounted for",
            {
                "one hour": "flywheel:feedback_unaccounted:ratio1h",
                "six hours": "flywheel:feedback_unaccounted:ratio6h",
            },
            "percentunit",
        ),
        Panel("Share set aside", {"{{model}}": "flywheel:quarantine:share1h"}, "percentunit"),
        Panel(
            "Lost, dead or dropped, an hour",
            {
                "expired": "sum(increase(flywheel_processor_expired_records_total[1h])) or vector(0)",
                "dead letters": 'sum(increase(flywheel_processor_events_total{outcome="dead_letter"}[1h]))',
                "dropped": "sum(increase(flywheel_inference_dropped_total[1h])) or vector(0)",
            },
        ),
    ],
)

SERVICES = Dashboard(
    "services",
    "services",
    [
        Panel("Up", {"{{job}} {{instance}}": "up"}, kind="stat"),
        Panel(
            "Requests by status",
            {"{{job}} {{status}}": f"sum by (job, status) (rate(flywheel_http_request_duration_seconds_count{_RATE}))"},
            "reqps",
        ),
        Panel("Duration of requests", _quantiles("flywheel_http_request_duration_seconds", "job"), "s"),
        Panel(
            "Ingest: requests",
            {"{{endpoint}} {{status}}": f"sum by (endpoint, status) (rate(flywheel_ingest_requests_total{_RATE}))"},
            "reqps",
        ),
        Panel("Ingest: to Kafka's acknowledgement", _quantiles("flywheel_ingest_publish_seconds", "job"), "s"),
        Panel(
            "Predict: requests",
            {"{{endpoint}} {{status}}": f"sum by (endpoint, status) (rate(flywheel_inference_requests_total{_RATE}))"},
            "reqps",
        ),
        Panel("Predict: latency", _quantiles("flywheel_inference_latency_seconds", "model"), "s"),
        Panel("Processor time", {"{{job}}": f"sum by (job) (rate(process_cpu_seconds_total{_RATE}))"}, "percentunit"),
        Panel("Memory", {"{{job}}": "sum by (job) (process_resident_memory_bytes)"}, "bytes"),
    ],
)

DATASET = Dashboard(
    "dataset",
    "dataset",
    [
        Panel("Rows", {"{{model}} {{table}}": f"flywheel_dataset_rows{{{_OF}}}"}),
        Panel("Files", {"{{model}} {{table}}": f"flywheel_dataset_files{{{_OF}}}"}),
        Panel("Size", {"{{model}} {{table}}": f"flywheel_dataset_bytes{{{_OF}}}"}, "bytes"),
        Panel("Version", {"{{model}} {{table}}": f"flywheel_dataset_version{{{_OF}}}"}),
        Panel(
            "Stored",
            {
                "{{model}} {{topic}}": "sum by (model, topic) "
                f'(rate(flywheel_processor_events_total{{{_OF},outcome="stored"}}{_RATE}))'
            },
            "cps",
        ),
        Panel("Rows of the last training set", {"{{model}}": f"flywheel_training_rows{{{_OF}}}"}),
    ],
    _MODEL,
)

DASHBOARDS = (OVERVIEW, QUALITY, ROLLOUT, STREAMS, SERVICES, DATASET)
