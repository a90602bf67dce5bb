"""What somebody is told of, beside objectives that burn: each alert says what it means and where to read what to do."""

from dataclasses import dataclass

RUNBOOKS = "docs/runbooks.md"


@dataclass(frozen=True, slots=True)
class Alert:
    """`severity` is page (now, at night too) or ticket (in working hours). `runbook` names a section; else `name`."""

    name: str
    expr: str
    severity: str
    summary: str
    hold: str = "0m"
    runbook: str = ""

    def rule(self) -> dict[str, object]:
        """The alert, as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            **({} if self.hold == "0m" else {"for": self.hold}),
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "runbook_url": f"{RUNBOOKS}#{(self.runbook or self.name).lower()}",
            },
        }


def _grew(metric: str, window: str) -> str:
    """A counter that grew, also from its first appearance: `increase` does not see how a series began."""
    return f"(increase({metric}[{window}]) > 0 or ({metric} > 0 unless {metric} offset {window}))"


def _fell(what: str, name: str) -> Alert:
    """The interval lies wholly below that of a week ago: no row of the one window is in the other."""
    metric = f"flywheel_model_{what}"
    return Alert(
        f"Model{name}Fell",
        f'{metric}{{estimate="high"}} < ignoring(estimate) {metric}{{estimate="low"}} offset 7d',
        "ticket",
        f"{name} of {{{{ $labels.model }}}} version {{{{ $labels.version }}}} is surely below that of a week ago: "
        "the highest that its interval allows is {{ $value | humanize }}.",
        "30m",
        "ModelQuality",
    )


SERVICES = ("ingest", "inference", "stream-processor", "trainer", "console")
_ABSENT = " or ".join(f'absent(up{{job="{name}"}})' for name in SERVICES)
_DEAD = _grew('flywheel_processor_events_total{outcome="dead_letter"}', "15m")
_DEAD_OF_WORKERS = _grew("flywheel_worker_dead_letters_total", "15m")

ALERTS = (
    Alert(
        "ServiceDown",
        f'up{{job=~"{"|".join(SERVICES)}"}} == 0 or {_ABSENT}',
        "page",
        "{{ $labels.job }} {{ $labels.instance }} does not answer Prometheus.",
        "2m",
    ),
    Alert(
        "IngestWithoutKafka",
        "flywheel_ingest_kafka_up == 0",
        "page",
        "{{ $labels.instance }} cannot write to Kafka and refuses all feedback with 503.",
        "1m",
    ),
    Alert(
        "FeedbackExpired",
        _grew("flywheel_processor_expired_records_total", "1h"),
        "page",
        "Kafka deleted records of {{ $labels.topic }} that nobody had read: acknowledged events are lost.",
    ),
    Alert(
        "FeedbackUnaccounted",
        "flywheel:feedback_unaccounted:ratio1h > 0.01 and flywheel:feedback_unaccounted:ratio6h > 0.01",
        "page",
        "{{ $value | humanizePercentage }} of what was acknowledged is neither settled nor waiting.",
        "15m",
    ),
    Alert(
        "PredictionsDropped",
        _grew("flywheel_inference_dropped_total", "15m"),
        "ticket",
        "Predictions never reach Kafka ({{ $labels.reason }}): feedback on them cannot teach.",
    ),
    Alert(
        "ProcessorStalled",
        "sum by (topic) (flywheel_processor_lag_records) > 0"
        " and on (topic) time() - max by (topic) (flywheel_processor_last_flush_timestamp_seconds) > 120",
        "page",
        "Records of {{ $labels.topic }} wait, and nothing was written for two minutes.",
        "2m",
    ),
    Alert(
        "LagHigh",
        "sum by (topic) (flywheel_processor_lag_records) > 100000",
        "ticket",
        "{{ $value | humanize }} records of {{ $labels.topic }} wait for the processor.",
        "10m",
    ),
    Alert(
        "DeadLetters",
        f"sum by (topic) ({_DEAD} or {_DEAD_OF_WORKERS})",
        "ticket",
        "Records of {{ $labels.topic }} could not be read and are kept as dead letters.",
    ),
    Alert(
        "QuarantineShareHigh",
        "flywheel:quarantine:share1h > 0.2 and on (model) flywheel:feedback_settled:increase1h > 50",
        "ticket",
        "{{ $value | humanizePercentage }} of the feedback on {{ $labels.model }} is set aside.",
        "10m",
    ),
    Alert(
        "RolledBack",
        _grew('flywheel_rollout_transitions_total{action="rolled_back"}', "1h"),
        "ticket",
        "A version of {{ $labels.model }} was taken back.",
    ),
    Alert(
        "TrainingFails",
        "increase(flywheel_training_failures_total[1h]) >= 3",
        "ticket",
        "Trainings of {{ $labels.model }} end in errors.",
    ),
    Alert(
        "TrainingStuck",
        "min_over_time(flywheel_training_in_progress[2h]) == 1 and flywheel_training_in_progress offset 2h == 1",
        "ticket",
        "A training of {{ $labels.model }} has run for two hours.",
    ),
    Alert(
        "ModelNotLoaded",
        _grew("flywheel_inference_refused_total", "15m"),
        "ticket",
        "{{ $labels.instance }} could not load a version of {{ $labels.model }} ({{ $labels.kind }}).",
    ),
    Alert(
        "AuditsTooFew",
        "flywheel_model_window_predictions >= 1000 and flywheel_model_window_audits < 30",
        "ticket",
        "{{ $labels.model }} version {{ $labels.version }} has fewer than 30 audited answers of a thousand or more.",
        "6h",
    ),
    Alert(
        "QualityNotMeasured",
        "time() - flywheel_model_measured_timestamp_seconds > 3600",
        "ticket",
        "Quality and drift of {{ $labels.model }} were last looked at over an hour ago.",
        "5m",
    ),
    Alert(
        "ModelAccuracyLow",
        'flywheel_model_accuracy_ratio{estimate="high"} < on (model) group_left () flywheel_model_accuracy_floor_ratio'
        ' and on (model, version) flywheel_model_traffic_ratio{state="champion"}',
        "page",
        "Accuracy of {{ $labels.model }} version {{ $labels.version }} is surely below the floor of its spec.",
        "15m",
        "ModelQuality",
    ),
    _fell("accuracy_ratio", "Accuracy"),
    _fell("precision_ratio", "Precision"),
    _fell("recall_ratio", "Recall"),
    _fell("satisfaction_rating", "Satisfaction"),
    Alert(
        "ModelErrorRose",
        'flywheel_model_mean_absolute_error{estimate="low"}'
        ' > ignoring(estimate) flywheel_model_mean_absolute_error{estimate="high"} offset 7d',
        "ticket",
        "The error of {{ $labels.model }} version {{ $labels.version }} is surely above that of a week ago.",
        "30m",
        "ModelQuality",
    ),
    Alert(
        "ModelDrift",
        "flywheel_model_drift_psi - flywheel_model_drift_psi_noise"
        " > on (model) group_left () flywheel_model_drift_psi_limit",
        "ticket",
        "{{ $labels.column }} of {{ $labels.model }} has moved from what the champion learned.",
        "1h",
    ),
)
