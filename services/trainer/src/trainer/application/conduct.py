"""Conducts rollouts: looks at what is known of each trial, and takes the step that the verdict says."""

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from evidence.sequential import Difference, Stratum
from flywheel_schemas.spec import ModelSpec
from telemetry import logging
from trainer.application.ports import Datasets
from trainer.application.rollout import TRAINER, Rollout
from trainer.domain import rollout, verdict
from trainer.domain.rollout import Standing, Step, Trial
from trainer.domain.verdict import Evidence, Health, Verdict

_LOG = logging.get("trainer")
_POINTS_KEPT = 500


class LiveEvidence(Protocol):
    """The lake, as a trial needs it."""

    def shadowed(self, spec: ModelSpec, trial: Trial) -> int:
        """Answers that the challenger has given aside since the trial began."""

    def strata(self, spec: ModelSpec, standing: Standing, now: datetime) -> tuple[Stratum, ...]:
        """Audited answers of both versions at each share of the traffic so far, the present one last."""


class LiveHealth(Protocol):
    """What replicas tell."""

    def of(self, model: str, version: str, since: datetime) -> Health:
        """Of all replicas together, in the trial that began at `since`."""


@dataclass(frozen=True, slots=True)
class Point:
    """What was known of a trial at one time."""

    at: datetime
    evidence: Evidence
    verdict: Verdict


class Conductor:
    """`look` reads the lake, `act` decides: apart, so that a guardrail never waits for a slow table."""

    def __init__(
        self,
        datasets: Datasets,
        rollout: Rollout,
        evidence: LiveEvidence,
        health: LiveHealth,
        now: Callable[[], datetime],
    ) -> None:
        self._datasets = datasets
        self._rollout = rollout
        self._evidence = evidence
        self._health = health
        self._now = now
        self._known: dict[str, tuple[Trial, Evidence]] = {}
        self._points: dict[str, deque[Point]] = {}
        self._lock = threading.Lock()

    def look(self) -> None:
        """Read anew what the lake holds of every trial, and act on it. One model's trouble keeps no other waiting."""
        for model in self._datasets.models():
            try:
                self._look_at(model)
            except Exception as exc:
                _LOG.warning("rollout_waits", model=model, reason=f"{type(exc).__name__}: {exc}")

    def _look_at(self, model: str) -> None:
        standing = self._rollout.standing(model)
        trial = standing.trial
        if trial is None:
            self._known.pop(model, None)
            if standing.waiting is not None:
                self.act(model)
            return
        spec = self._datasets.spec(model)
        if trial.percent <= 0.0:
            found = Evidence(shadowed=self._evidence.shadowed(spec, trial))
        else:
            found = Evidence(strata=self._evidence.strata(spec, standing, self._now()))
        self._known[model] = (trial, found)
        self.act(model)

    def act(self, model: str) -> Step | None:
        """Take the next step of the model's rollout, if there is one to take. Raises what the ports raise."""
        with self._lock:
            standing = self._rollout.standing(model)
            if standing.trial is None and standing.waiting is None:
                return None
            policy = self._datasets.spec(model).rollout
            if standing.trial is None:
                entry = self._rollout.take(
                    model, lambda now: rollout.next_of_waiting(now, policy, self._now()), TRAINER
                )
                return entry.step if entry else None
            point = self._point(model, standing.trial)
            decided = verdict.decide(standing, point, policy, self._now())
            self._note(model, Point(self._now(), point, decided))
            if decided.step is None:
                return None
            seen = standing.trial

            def decide(present: Standing) -> Step | None:
                # Whoever was quicker has changed what stands: decide again, by what is known of that.
                return verdict.decide(present, point, policy, self._now()).step if present.trial == seen else None

            entry = self._rollout.take(model, decide, TRAINER, figures(point, decided))
            return entry.step if entry else None

    def act_on_all(self) -> None:
        """Take the next step of each trial that is known. Raises what the ports raise."""
        for model in list(self._known):
            self.act(model)

    def points(self, model: str, trial: Trial) -> list[Point]:
        """What this process has seen of the trial so far, oldest first."""
        return [point for point in self._points.get(model, ()) if point.at >= trial.started_at]

    def _point(self, model: str, trial: Trial) -> Evidence:
        health = self._health.of(model, trial.release.version, trial.started_at)
        known = self._known.get(model)
        same = known is not None and replace(known[0], paused=trial.paused) == trial
        return replace(known[1] if known is not None and same else Evidence(), health=health)

    def _note(self, model: str, point: Point) -> None:
        points = self._points.setdefault(model, deque(maxlen=_POINTS_KEPT))
        if points and _counts(points[-1].evidence) == _counts(point.evidence):
            points.pop()
        points.append(point)


def _counts(evidence: Evidence) -> tuple[int, int, int]:
    return evidence.shadowed, evidence.champion.n, evidence.challenger.n


def figures(evidence: Evidence, decided: Verdict) -> dict[str, Any]:
    """What was known when it was decided, as JSON: NaN and infinities are null."""
    health = evidence.health
    return {
        "shadowed": evidence.shadowed,
        "champion": {"n": evidence.champion.n, "right": evidence.champion.total},
        "challenger": {"n": evidence.challenger.n, "right": evidence.challenger.total},
        **bounds(decided.difference),
        "requests": health.requests,
        "failed": health.failed,
        "p99_ms": health.p99_ms,
        "champion_p99_ms": health.champion_p99_ms,
        "disagreed": {"of": health.shadowed, "n": health.disagreed, "classes": health.disagreement},
        "slices": health.slices,
    }


def bounds(found: Difference) -> Mapping[str, float | None]:
    """The difference and its bounds, null where there is no evidence."""
    values = {"difference": found.value, "low": found.low, "high": found.high}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
