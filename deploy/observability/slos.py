"""Service level objectives, and the rules that follow from each: error ratios, and alerts on how fast they burn.

Multi-window, multi-burn-rate, after the SRE Workbook, chapter 5: a long window says that it matters, a short one that
it still goes on. A burn rate of 1 spends the budget of 30 days in 30 days.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deploy.observability.alerts import Alert

_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
RATIO = "slo:error_ratio:rate{window}"


@dataclass(frozen=True, slots=True)
class Burn:
    """Alert while the ratio of both windows is above `factor` times the budget."""

    factor: float
    long: str
    short: str


FAST = (Burn(14.4, "1h", "5m"), Burn(6.0, "6h", "30m"))
SLOW = (Burn(3.0, "1d", "2h"), Burn(1.0, "3d", "6h"))


@dataclass(frozen=True, slots=True)
class Slo:
    """`good` and `total` are counters; `objective` is the share of good ones over 30 days.

    `rare` where a few events a day make the whole: one bad event says little, so nobody is woken.
    """

    name: str
    alert: str
    objective: float
    good: str
    total: str
    meaning: str
    rare: bool = False

    @property
    def budget(self) -> float:
        """The share that may be bad."""
        return round(1.0 - self.objective, 6)

    def recordings(self) -> Iterator[dict[str, object]]:
        """One rule a window. Without traffic there is no ratio, rather than a good or a bad one."""
        for window in _WINDOWS:
            good = f"(sum(rate({self.good}[{window}])) or vector(0))"
            total = f"sum(rate({self.total}[{window}]))"
            yield {
                "record": RATIO.format(window=window),
                "labels": {"slo": self.name},
                "expr": f"clamp_min(1 - {good} / ({total} > 0), 0)",
            }

    def alerts(self) -> list[Alert]:
        """Fast for whoever is on call, slow for working hours."""
        slow = self._alert("Slowly", "ticket", SLOW)
        return [slow] if self.rare else [self._alert("Fast", "page", FAST), slow]

    def _alert(self, how: str, severity: str, burns: Sequence[Burn]) -> Alert:
        return Alert(
            name=f"{self.alert}Burns{how}",
            expr=" or ".join(self._burning(burn) for burn in burns),
            severity=severity,
            summary=f"{self.meaning} The error budget of {self.budget:.3%} burns {how.lower()}.",
            runbook=self.alert,
        )

    def _burning(self, burn: Burn) -> str:
        over = f"> {burn.factor:g} * {self.budget:g}"
        long, short = (RATIO.format(window=window) + f'{{slo="{self.name}"}}' for window in (burn.long, burn.short))
        return f"({long} {over} and {short} {over})"


SLOS = (
    Slo(
        "ingest-availability",
        "IngestAvailability",
        0.999,
        'flywheel_ingest_requests_total{status!~"5.."}',
        "flywheel_ingest_requests_total",
        "Requests that post feedback end in a 5xx: what people say is not taken.",
    ),
    Slo(
        "ingest-latency",
        "IngestLatency",
        0.99,
        'flywheel_ingest_publish_seconds_bucket{le="0.25"}',
        "flywheel_ingest_publish_seconds_count",
        "Kafka takes longer than 250 ms to acknowledge feedback.",
    ),
    Slo(
        "predict-availability",
        "PredictAvailability",
        0.999,
        'flywheel_inference_requests_total{status!~"5.."}',
        "flywheel_inference_requests_total",
        "Requests for predictions end in a 5xx.",
    ),
    Slo(
        "predict-latency",
        "PredictLatency",
        0.99,
        'flywheel_inference_latency_seconds_bucket{le="0.05"}',
        "flywheel_inference_latency_seconds_count",
        "Predictions take longer than 50 ms.",
    ),
    Slo(
        "lake-freshness",
        "LakeFreshness",
        0.99,
        'flywheel_processor_freshness_seconds_bucket{topic="feedback-events",le="10.0"}',
        'flywheel_processor_freshness_seconds_count{topic="feedback-events"}',
        "Feedback takes longer than 10 s from its receipt to its row in the lake.",
    ),
    Slo(
        "serving-freshness",
        "ServingFreshness",
        0.95,
        'flywheel_inference_trigger_to_serving_seconds_bucket{le="3600.0"}',
        "flywheel_inference_trigger_to_serving_seconds_count",
        "A version takes longer than an hour from the threshold that asked for it to serving.",
        rare=True,
    ),
)
