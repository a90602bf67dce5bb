"""When each alert fires and when it is silent, as series in promtool's notation, a minute apart.

`0+5x60` counts up by 5 a minute for an hour; `1x10` stays at 1.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from deploy.observability.alerts import SERVICES
from deploy.observability.slos import SLOS, Slo

Series = Mapping[str, str]
HOUR, DAY, WEEK = 60, 24 * 60, 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Case:
    """`series` in which `alert` fires, or does not, at minute `at`; rules are evaluated every `every` minutes."""

    alert: str
    fires: bool
    series: Series
    at: int
    every: int = 1
    why: str = field(default="")


def cases() -> Iterator[Case]:
    """At least one of either kind for every alert; a test sees to it."""
    for slo in SLOS:
        yield from _of_slo(slo)
    for alert, (firing, silent, at) in _SIMPLE.items():
        every = 10 if at > HOUR else 1
        yield Case(alert, True, firing, at, every)
        yield Case(alert, False, silent, at, every)
    yield from _OTHERS
    for what, name in (("accuracy_ratio", "Accuracy"), ("precision_ratio", "Precision"), ("recall_ratio", "Recall")):
        yield from _of_fall(f"flywheel_model_{what}", f"Model{name}Fell", (0.75, 0.72, 0.78), (0.60, 0.57, 0.63))
    yield from _of_fall("flywheel_model_satisfaction_rating", "ModelSatisfactionFell", (4.2, 4.0, 4.4), (3.1, 2.8, 3.4))
    yield from _of_fall("flywheel_model_mean_absolute_error", "ModelErrorRose", (3.0, 2.8, 3.2), (4.0, 3.7, 4.3))


def _of_slo(slo: Slo) -> Iterator[Case]:
    for how, minutes, burn, every in (("Fast", 70, 20, 5), ("Slowly", DAY + 2 * HOUR, 4, 60)):
        alert = f"{slo.alert}Burns{how}"
        if not (slo.rare and how == "Fast"):
            yield Case(alert, True, _traffic(slo, burn * slo.budget, minutes), minutes, every)
            yield Case(alert, False, _traffic(slo, 0.5 * slo.budget, minutes), minutes, every, "within its budget")
            yield Case(alert, False, {}, minutes, every, "without traffic")
    if not slo.rare:
        over = _traffic(slo, 20 * slo.budget, 70, well_for=35)
        yield Case(f"{slo.alert}BurnsFast", False, over, 105, 5, "it is over")


def _traffic(slo: Slo, share: float, minutes: int, well_for: int = 0) -> Series:
    """A thousand a minute, of which `share` is bad; at the end all is well for some minutes."""
    bad = 1000 * share
    if "status" in slo.good:
        metric = slo.total
        labels = ('{endpoint="/x",status="200"}', '{endpoint="/x",status="503"}')
        return {
            metric + labels[0]: f"0+{1000 - bad:g}x{minutes + well_for}",
            metric + labels[1]: f"0+{bad:g}x{minutes} {bad * minutes:g}x{well_for}",
        }
    good, at = (1000 - bad) * minutes, 1000 * minutes
    return {
        slo.good: f"0+{1000 - bad:g}x{minutes} {good:g}+1000x{well_for}",
        slo.total: f"0+1000x{minutes} {at:g}+1000x{well_for}",
    }


def _of_fall(
    metric: str, alert: str, before: tuple[float, float, float], after: tuple[float, float, float]
) -> Iterator[Case]:
    """A week of one estimate (value, low, high), then an hour of another."""
    wider = tuple(value + (one - other) for value, one, other in zip(after, before, after, strict=True))
    for fires, later in ((True, after), (False, wider)):
        series = {
            f'{metric}{{model="m",version="3",class="late",estimate="{name}"}}': f"{then:g}x{WEEK} {now:g}x{4 * HOUR}"
            for name, then, now in zip(("value", "low", "high"), before, later, strict=True)
        }
        yield Case(alert, fires, series, WEEK + 4 * HOUR, 2 * HOUR)


_UP = {f'up{{job="{name}",instance="1"}}': "1x10" for name in SERVICES}
_M = '{model="m"}'
_V = 'model="m",version="3"'
_ACCEPTED = 'flywheel_ingest_events_accepted_total{model="m"}'
_STORED = 'flywheel_processor_events_total{topic="feedback-events",model="m",outcome="stored"}'
_QUARANTINED = 'flywheel_processor_events_total{topic="feedback-events",model="m",outcome="quarantined"}'
_DEAD = 'flywheel_processor_events_total{topic="feedback-events",model="",outcome="dead_letter"}'
_LAG = 'flywheel_processor_lag_records{topic="feedback-events",partition="0"}'
_FLUSHED = 'flywheel_processor_last_flush_timestamp_seconds{topic="feedback-events"}'
_ROLLED_BACK = 'flywheel_rollout_transitions_total{model="m",action="rolled_back"}'
_ONCE, _NEVER = "0x10 1x20", "0x30"

_SIMPLE: Mapping[str, tuple[Series, Series, int]] = {
    "ServiceDown": (_UP | {'up{job="trainer",instance="1"}': "0x10"}, _UP, 5),
    "IngestWithoutKafka": ({"flywheel_ingest_kafka_up": "0x10"}, {"flywheel_ingest_kafka_up": "1x10"}, 5),
    "FeedbackExpired": (
        {'flywheel_processor_expired_records_total{topic="feedback-events"}': _ONCE},
        {'flywheel_processor_expired_records_total{topic="feedback-events"}': _NEVER},
        20,
    ),
    "FeedbackUnaccounted": (
        {_ACCEPTED: "0+100x460", _STORED: "0+95x460", _LAG: "0x460"},
        {_ACCEPTED: "0+100x460", _STORED: "0+95x460", _QUARANTINED: "0+5x460", _LAG: "0x460"},
        460,
    ),
    "PredictionsDropped": (
        {'flywheel_inference_dropped_total{reason="queue_full"}': _ONCE},
        {'flywheel_inference_dropped_total{reason="queue_full"}': _NEVER},
        20,
    ),
    "ProcessorStalled": (
        {_LAG: "50x20", _FLUSHED: "0x20"},
        {_LAG: "50x20", _FLUSHED: "0+60x20"},
        20,
    ),
    "LagHigh": ({_LAG: "200000x30"}, {_LAG: "2000x30"}, 20),
    "DeadLetters": ({_DEAD: _ONCE}, {_DEAD: _NEVER}, 20),
    "QuarantineShareHigh": (
        {_STORED: "0+10x90", _QUARANTINED: "0+5x90"},
        {_STORED: "0+10x90", _QUARANTINED: "0+1x90"},
        90,
    ),
    "RolledBack": (
        {_ROLLED_BACK: _ONCE},
        {'flywheel_rollout_transitions_total{model="m",action="promoted"}': _ONCE},
        20,
    ),
    "TrainingFails": (
        {f"flywheel_training_failures_total{_M}": "0x5 0+1x10"},
        {f"flywheel_training_failures_total{_M}": _ONCE},
        15,
    ),
    "TrainingStuck": (
        {f"flywheel_training_in_progress{_M}": "1x200"},
        {f"flywheel_training_in_progress{_M}": "1x60 0x10 1x130"},
        180,
    ),
    "ModelNotLoaded": (
        {'flywheel_inference_refused_total{model="m",kind="corrupt"}': _ONCE},
        {'flywheel_inference_refused_total{model="m",kind="corrupt"}': _NEVER},
        20,
    ),
    "AuditsTooFew": (
        {f"flywheel_model_window_predictions{{{_V}}}": "5000x400", f"flywheel_model_window_audits{{{_V}}}": "4x400"},
        {f"flywheel_model_window_predictions{{{_V}}}": "5000x400", f"flywheel_model_window_audits{{{_V}}}": "90x400"},
        390,
    ),
    "QualityNotMeasured": (
        {f"flywheel_model_measured_timestamp_seconds{_M}": "0x90"},
        {f"flywheel_model_measured_timestamp_seconds{_M}": "0+60x90"},
        80,
    ),
    "ModelAccuracyLow": (
        {
            f'flywheel_model_accuracy_ratio{{{_V},estimate="high"}}': "0.66x60",
            f"flywheel_model_accuracy_floor_ratio{_M}": "0.7x60",
            f'flywheel_model_traffic_ratio{{{_V},state="champion"}}': "1x60",
        },
        {
            f'flywheel_model_accuracy_ratio{{{_V},estimate="low"}}': "0.66x60",
            f'flywheel_model_accuracy_ratio{{{_V},estimate="high"}}': "0.74x60",
            f"flywheel_model_accuracy_floor_ratio{_M}": "0.7x60",
            f'flywheel_model_traffic_ratio{{{_V},state="champion"}}': "1x60",
        },
        30,
    ),
    "ModelDrift": (
        {
            'flywheel_model_drift_psi{model="m",column="hour"}': "0.4x90",
            'flywheel_model_drift_psi_noise{model="m",column="hour"}': "0.05x90",
            f"flywheel_model_drift_psi_limit{_M}": "0.2x90",
        },
        {
            'flywheel_model_drift_psi{model="m",column="hour"}': "0.22x90",
            'flywheel_model_drift_psi_noise{model="m",column="hour"}': "0.05x90",
            f"flywheel_model_drift_psi_limit{_M}": "0.2x90",
        },
        80,
    ),
}

_OTHERS = (
    Case("ServiceDown", True, {key: value for key, value in _UP.items() if "console" not in key}, 5, why="one is gone"),
    Case(
        "FeedbackUnaccounted",
        False,
        {_ACCEPTED: "0+100x460", _STORED: "0+100x450 45000x10", _LAG: "0x450 0+100x10"},
        460,
        10,
        "what waits is not lost",
    ),
    Case("DeadLetters", True, {_DEAD: "_x10 1x20"}, 20, why="the first of all"),
    Case("DeadLetters", False, {_DEAD: "3x60"}, 50, why="they are old"),
    Case("RolledBack", True, {_ROLLED_BACK: "_x10 1x20"}, 20, why="the first of all"),
    Case(
        "DeadLetters",
        True,
        {'flywheel_worker_dead_letters_total{topic="threshold-reached"}': _ONCE},
        20,
        why="of a low-volume topic",
    ),
)
