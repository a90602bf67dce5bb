"""What a candidate must show before it may serve. Every gate says its figures, passed or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from flywheel_schemas.events import GateReport
from flywheel_schemas.spec import ModelSpec
from trainer.domain.bootstrap import Gain, paired_gain
from trainer.domain.calibration import miscalibration
from trainer.domain.metrics import Floats
from trainer.domain.slices import MIN_ROWS, worst_slice

GOLDEN_CONFIDENCE = 0.95
SHOWN_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Evidence:
    """Rows, and what champion and candidate answered on them. `reference` says who the champion's answers are of."""

    rows: pl.DataFrame
    targets: Floats
    weights: Floats
    champion: Floats
    candidate: Floats
    reference: str
    weights_note: str = ""


def metric_gate(spec: ModelSpec, evidence: Evidence) -> GateReport:
    """Whether the candidate gains at least `min_gain`: at the lower end of the interval at `gates.confidence`.

    At confidence 0 the point estimate decides, and the interval at SHOWN_CONFIDENCE is only shown. So it does for a
    first version: there is no champion to protect. A candidate that answers every row exactly as the champion does
    gains nothing, and is not let through.
    """
    metric, policy = spec.gate_metric, spec.gates
    seen = _compare(metric, evidence, policy.confidence or SHOWN_CONFIDENCE)
    sure = policy.confidence > 0.0 and evidence.reference == "champion"
    deciding = seen.low if sure else seen.value
    figures = _figures(metric, seen) | {
        "min_gain": policy.min_gain,
        "decided_by": "low" if sure else "gain",
        "against": evidence.reference,
    }
    if not seen.is_defined:
        passed = evidence.reference != "champion"
        reason = f"{metric} is not defined on the {seen.rows} holdout rows (one class only, or none)"
        return GateReport(name="metric", passed=passed, figures=figures, reason=reason)
    if evidence.reference == "champion" and np.array_equal(evidence.champion, evidence.candidate):
        reason = f"answers all {seen.rows} rows exactly as the champion does"
        return GateReport(name="metric", passed=False, figures=figures, reason=reason)
    passed = deciding >= policy.min_gain
    interval = f" (from {seen.low:+.4f} to {seen.high:+.4f} at {seen.confidence:.0%} confidence)"
    reason = (
        f"{metric} {seen.candidate:.4f} against {seen.champion:.4f} of the {evidence.reference} on {seen.rows} rows:"
        f" gain {seen.value:+.4f}{interval}, needed {policy.min_gain:+.4f}; {evidence.weights_note}"
    )
    return GateReport(name="metric", passed=passed, figures=figures, reason=reason.rstrip("; "))


def slice_gate(spec: ModelSpec, evidence: Evidence) -> GateReport:
    """Whether the candidate loses more than `max_slice_loss` on any slice, beyond doubt."""
    allowed = spec.gates.max_slice_loss
    worst = worst_slice(
        spec,
        evidence.rows,
        targets=evidence.targets,
        champion=evidence.champion,
        candidate=evidence.candidate,
        weights=evidence.weights,
    )
    if worst is None:
        reason = f"no slice of the holdout has {MIN_ROWS} rows, so none was judged"
        return GateReport(name="worst_slice", passed=True, figures={"max_slice_loss": allowed}, reason=reason)
    figures = {
        "slice": worst.name,
        "loss": _number(worst.loss),
        "surely_above": _number(worst.surely_above),
        "rows": worst.rows,
        "max_slice_loss": allowed,
    }
    reason = (
        f"largest loss on {worst.name} ({worst.rows} rows): {worst.loss:+.4f} in {spec.gate_metric},"
        f" surely above {worst.surely_above:+.4f}, allowed {allowed:.4f}"
    )
    return GateReport(name="worst_slice", passed=worst.surely_above <= allowed, figures=figures, reason=reason)


def golden_gate(spec: ModelSpec, evidence: Evidence) -> GateReport:
    """Whether the candidate is worse than the champion, beyond doubt, on rows that feedback never enters."""
    seen = _compare(spec.gate_metric, evidence, GOLDEN_CONFIDENCE)
    figures = _figures(spec.gate_metric, seen)
    if not seen.is_defined:
        reason = f"{spec.gate_metric} is not defined on the {seen.rows} golden rows; give rows of every class"
        return GateReport(name="golden", passed=False, figures=figures, reason=reason)
    reason = (
        f"{spec.gate_metric} {seen.candidate:.4f} against {seen.champion:.4f} of the {evidence.reference} on"
        f" {seen.rows} golden rows: gain between {seen.low:+.4f} and {seen.high:+.4f} at {GOLDEN_CONFIDENCE:.0%}"
    )
    return GateReport(name="golden", passed=seen.high >= 0.0, figures=figures, reason=reason)


def calibration_gate(spec: ModelSpec, evidence: Evidence) -> GateReport:
    """Whether probabilities are as often true as they say, within `max_calibration_error`.

    It fails where the error is above that beyond doubt, and above the champion's too. A regression's error is in
    units of the targets' standard deviation.
    """
    allowed = spec.gates.max_calibration_error
    unit = 1.0 if spec.classes else float(np.std(evidence.targets)) or 1.0
    told = partial(miscalibration, evidence.targets, weights=evidence.weights, probabilities=bool(spec.classes))
    mine, theirs = told(evidence.candidate), told(evidence.champion)
    error, surely, other = mine.error / unit, mine.surely_above / unit, theirs.error / unit
    figures = {"error": error, "surely_above": surely, "champion": other, "max": allowed, "rows": mine.rows}
    reason = (
        f"calibration error {error:.4f} on {mine.rows} rows (surely above {surely:.4f}), {other:.4f} of the"
        f" {evidence.reference}, allowed {allowed:.4f}"
    )
    passed = surely <= allowed or error <= other
    return GateReport(name="calibration", passed=passed, figures=figures, reason=reason)


def size_gate(spec: ModelSpec, model_bytes: int) -> GateReport:
    """Whether the served model's text is at most `max_megabytes` (of 1,000,000 bytes)."""
    megabytes, allowed = model_bytes / 1e6, spec.gates.max_megabytes
    reason = f"the model has {megabytes:.2f} MB, allowed {allowed:g} MB"
    figures = {"megabytes": megabytes, "max_megabytes": allowed}
    return GateReport(name="size", passed=megabytes <= allowed, figures=figures, reason=reason)


def latency_gate(spec: ModelSpec, seconds: Floats) -> GateReport:
    """Whether one row is answered within `max_latency`: the median of `seconds`, one per single-row prediction."""
    allowed_ms = spec.gates.max_latency.total_seconds() * 1000
    median, p99 = (float(value) * 1000 for value in np.quantile(seconds, [0.5, 0.99]))
    figures = {"median_ms": median, "p99_ms": p99, "max_ms": allowed_ms, "predictions": len(seconds)}
    reason = f"one row takes {median:.3f} ms (p99 {p99:.3f} ms), allowed {allowed_ms:g} ms"
    return GateReport(name="latency", passed=median <= allowed_ms, figures=figures, reason=reason)


def compatibility_gate(spec: ModelSpec, champion: ModelSpec | None, booster_features: tuple[str, ...]) -> GateReport:
    """Whether every instance that the champion takes is taken by the candidate, and answered in the same terms."""
    broken = _broken(spec, champion) if champion else []
    if booster_features != tuple(column for feature in spec.features for column in feature.columns):
        broken.insert(0, "the model's feature names are not those of the spec")
    reason = "; ".join(broken) or "takes every instance that the champion takes"
    return GateReport(name="compatibility", passed=not broken, figures={"broken": broken}, reason=reason)


def _compare(metric: str, evidence: Evidence, confidence: float) -> Gain:
    answers = evidence.targets, evidence.champion, evidence.candidate, evidence.weights
    return paired_gain(metric, *answers, confidence=confidence)


def _figures(metric: str, seen: Gain) -> dict[str, Any]:
    named: Mapping[str, float] = {
        "champion": seen.champion,
        "candidate": seen.candidate,
        "gain": seen.value,
        "low": seen.low,
        "high": seen.high,
        "doubt": seen.doubt,
    }
    figures = {name: _number(value) for name, value in named.items()}
    return {"metric": metric, **figures, "rows": seen.rows, "confidence": seen.confidence}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _broken(spec: ModelSpec, champion: ModelSpec) -> list[str]:
    if (spec.task, spec.classes) != (champion.task, champion.classes):
        return ["task or classes differ from the champion's"]
    mine = {feature.name: feature for feature in spec.features}
    theirs = {feature.name: feature for feature in champion.features}
    broken = [f"{name} is gone" for name in theirs if name not in mine]
    broken += [f"{name} is new and required" for name in mine if name not in theirs and mine[name].required]
    for name in mine.keys() & theirs.keys():
        new, old = mine[name], theirs[name]
        if new.type != old.type:
            broken.append(f"{name} was a {old.type} and is a {new.type}")
        if gone := sorted(set(old.values or ()) - set(new.values or ())):
            broken.append(f"{name} no longer takes {', '.join(gone)}")
        if new.required and not old.required:
            broken.append(f"{name} has become required")
        if new.range and (not old.range or new.range[0] > old.range[0] or new.range[1] < old.range[1]):
            broken.append(f"{name} has a narrower range")
    return sorted(broken)
