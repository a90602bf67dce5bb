"""Which crossing of quality, drift or schedule asks for a training; pure decisions about what was seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from evidence.quality import Estimate
from flywheel_schemas.events import ThresholdReached, TriggerReason
from flywheel_schemas.spec_model import DriftTrigger, QualityTrigger, format_duration
from trainer.domain.drifting import Drifted
from trainer.domain.live import LiveQuality

MIN_ROWS = 500
"""Answers below which drift is not judged: a quiet night is no drift."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A threshold that is crossed, why, and the evidence. `note` is the sentence that people read."""

    reason: TriggerReason
    observed: float
    threshold: float
    note: str
    version: str | None = None
    column: str | None = None
    low: float | None = None
    high: float | None = None
    rows: int | None = None


def quality_crossing(policy: QualityTrigger, seen: LiveQuality) -> Finding | None:
    """The metric surely beyond its limit: its whole interval is. Without audits nothing is decided.

    The interval is one for a single look. Looking again and again finds a false crossing now and then; it costs one
    training, whose gates compare before anything serves.
    """
    name, estimate, limit = _judged(policy, seen)
    if not estimate.is_informed:
        return None
    is_beyond = estimate.high < limit if policy.metric == "accuracy" else estimate.low > limit
    if not is_beyond:
        return None
    note = (
        f"{name} of version {seen.version} over {format_duration(policy.window)} is {estimate.value:.3f} "
        f"({estimate.low:.3f} to {estimate.high:.3f} with 95 % confidence, {estimate.audits:,} audited answers), "
        f"{'below' if policy.metric == 'accuracy' else 'above'} {limit:g}"
    )
    found = Finding(TriggerReason.QUALITY, estimate.value, limit, note, version=seen.version)
    return _with_interval(found, estimate.low, estimate.high, estimate.audits)


def _judged(policy: QualityTrigger, seen: LiveQuality) -> tuple[str, Estimate, float]:
    if policy.metric == "mae":
        return "mean absolute error", seen.mean_absolute_error, policy.above or 0.0
    return "accuracy", seen.accuracy, policy.below or 0.0


def drift_crossings(policy: DriftTrigger, seen: Drifted) -> list[Finding]:
    """Every feature, and the scores, whose PSI exceeds the threshold by more than chance does; the furthest first."""
    if seen.rows < MIN_ROWS:
        return []
    beyond = [(name, drift) for name, drift in seen.all.items() if drift.surely_above > policy.psi_above]
    found = []
    for name, drift in sorted(beyond, key=lambda each: (-each[1].surely_above, each[0])):
        note = (
            f"{name} has drifted from the training set of version {seen.version}: PSI {drift.psi:.2f} over "
            f"{drift.rows:,} answers in {format_duration(policy.window)} (chance alone makes up to {drift.noise:.2f}), "
            f"above {policy.psi_above:g}"
        )
        finding = Finding(TriggerReason.DRIFT, drift.psi, policy.psi_above, note, version=seen.version, column=name)
        found.append(_with_interval(finding, drift.surely_above, drift.psi + drift.noise, drift.rows))
    return found


def schedule_crossing(every: timedelta, since: datetime, now: datetime) -> Finding | None:
    """A schedule counts from the last training, whatever led to it."""
    if now - since < every:
        return None
    days = (now - since) / timedelta(days=1)
    note = f"{days:.1f} days have passed since the last training, every {format_duration(every)} is asked for"
    return Finding(TriggerReason.SCHEDULE, days, every / timedelta(days=1), note)


def is_told(finding: Finding, earlier: Sequence[ThresholdReached]) -> bool:
    """Whether one of the triggers of the past window tells of this crossing: the same reason, version and column.

    Evidence of a later window shares no row with it, so a crossing that is still there then is another one.
    """
    return any(
        (told.reason, told.model_version, told.column) == (finding.reason, finding.version, finding.column)
        for told in earlier
    )


def _with_interval(finding: Finding, low: float, high: float, rows: int) -> Finding:
    return replace(finding, low=low, high=high, rows=rows)
