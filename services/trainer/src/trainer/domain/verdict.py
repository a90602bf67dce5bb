"""What a rollout does next: a pure function of the standing, what is known of the challenger, the spec and the time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from evidence.sequential import NOTHING, Difference, Outcomes, Stratum, difference
from flywheel_schemas.spec import RolloutPolicy
from trainer.domain import rollout
from trainer.domain.rollout import Standing, Step, Trial

LEAST_FAILURES = 5
LEAST_AUDITS = 50


@dataclass(frozen=True, slots=True)
class Health:
    """How the challenger does in all replicas together. `problem`: a replica cannot load it, or asks it no more."""

    requests: int = 0
    failed: int = 0
    p99_ms: float | None = None
    champion_p99_ms: float | None = None
    problem: str | None = None
    shadowed: int = 0
    disagreed: int = 0
    disagreement: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    slices: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known: answers given aside, health, and audited answers of both versions at each share so far.

    The last of `strata` is of the present share.
    """

    shadowed: int = 0
    health: Health = Health()
    strata: tuple[Stratum, ...] = ()

    @property
    def champion(self) -> Outcomes:
        """All of the champion's audited answers."""
        return sum((stratum.champion.all for stratum in self.strata), Outcomes())

    @property
    def challenger(self) -> Outcomes:
        """All of the challenger's audited answers."""
        return sum((stratum.challenger.all for stratum in self.strata), Outcomes())

    @property
    def audits_now(self) -> int:
        """The challenger's audited answers at its present share."""
        return self.strata[-1].challenger.all.n if self.strata else 0


@dataclass(frozen=True, slots=True)
class Guardrail:
    """One limit, and what was measured; `value` None: nothing was, which breaches nothing."""

    name: str
    limit: float
    value: float | None
    breached: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done (`step` None: nothing yet), and why."""

    step: Step | None
    why: str
    difference: Difference = NOTHING


def decide(standing: Standing, evidence: Evidence, policy: RolloutPolicy, now: datetime) -> Verdict:
    """The next step of the trial in `standing`: guardrails, then a person's pause, then evidence, then the clock."""
    trial = standing.trial
    if trial is None:
        return Verdict(None, "no version is on trial")
    found = compare(evidence, policy)
    breached = [rail for rail in guardrails(evidence, policy, found) if rail.breached]
    if breached:
        why = "; ".join(rail.reason for rail in breached)
        return Verdict(rollout.take_back(standing, why), why, found)
    if trial.paused:
        return Verdict(None, "paused; `flywheel model resume` goes on", found)
    ready, why = _in_shadow(evidence, policy) if trial.percent <= 0.0 else _in_canary(trial, evidence, policy, found)
    if ready:
        percent = trial.next_step(policy)
        step = (
            rollout.take_over(standing, trial.release, why)
            if percent is None
            else rollout.advance(standing, percent, why, now)
        )
        return Verdict(step, why, found)
    if now - trial.started_at > policy.give_up_after:
        why = f"could not decide within {policy.give_up_after}: {why}"
        return Verdict(rollout.take_back(standing, why), why, found)
    return Verdict(None, why, found)


def compare(evidence: Evidence, policy: RolloutPolicy) -> Difference:
    """Challenger minus champion in live quality, with bounds that hold however often one looks."""
    enough = min(LEAST_AUDITS, policy.min_feedback)
    if min(evidence.champion.n, evidence.challenger.n) < enough:
        return NOTHING
    return difference(evidence.strata, resolve=policy.guardrails.quality_loss_above)


def guardrails(evidence: Evidence, policy: RolloutPolicy, found: Difference) -> tuple[Guardrail, ...]:
    """Each limit of the spec. What was not measured, or is NaN, breaches nothing."""
    limits, health = policy.guardrails, evidence.health
    rate = health.failed / health.requests if health.requests else None
    failing = rate is not None and health.failed >= LEAST_FAILURES and rate > limits.error_rate_above
    p99_limit = limits.p99_above.total_seconds() * 1000.0
    p99, theirs = health.p99_ms, health.champion_p99_ms or 0.0
    slow = p99 is not None and math.isfinite(p99) and p99 > max(p99_limit, theirs)
    worse = found.high < 0.0
    value = found.value if math.isfinite(found.value) else None
    return (
        Guardrail("replica", 0.0, None, health.problem is not None, health.problem or "every replica can ask it"),
        Guardrail(
            "error_rate",
            limits.error_rate_above,
            rate,
            failing,
            f"{health.failed} of {health.requests} requests failed",
        ),
        Guardrail("p99_ms", p99_limit, p99, slow, f"the 99th percentile is {p99} ms, the champion's {theirs:g} ms"),
        Guardrail("quality_loss", limits.quality_loss_above, None if value is None else -value, worse, _worse(found)),
    )


def _worse(found: Difference) -> str:
    return f"worse by {-found.value:.4f}, at least {-found.high:.4f}"


def _in_shadow(evidence: Evidence, policy: RolloutPolicy) -> tuple[bool, str]:
    wanted = policy.shadow.min_predictions
    why = f"{evidence.shadowed} of {wanted} answers given aside"
    return evidence.shadowed >= wanted, why


def _in_canary(trial: Trial, evidence: Evidence, policy: RolloutPolicy, found: Difference) -> tuple[bool, str]:
    """Enough audited answers at this share; and at the last share, better or not worse than the margin."""
    if evidence.audits_now < policy.min_feedback:
        return False, f"{evidence.audits_now} of {policy.min_feedback} audited answers at {trial.percent:g} %"
    margin = policy.guardrails.quality_loss_above
    audits = f"after {evidence.challenger.n} audited answers"
    if found.low > 0.0:
        return True, f"better by {found.value:.4f}, at least {found.low:.4f}, {audits}"
    if found.low > -margin:
        return True, f"not worse by more than {margin:g} (at most {-found.low:.4f}), {audits}"
    if trial.next_step(policy) is not None:
        return True, f"not shown to be worse {audits}: between {found.low:+.4f} and {found.high:+.4f}"
    bounds = f"the difference lies between {found.low:+.4f} and {found.high:+.4f} {audits}"
    return False, f"{bounds}; to be promoted it must be above {-margin:g}"
