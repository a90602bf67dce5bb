"""What people see of a model's rollout and of its audit log, from the log of transitions alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flywheel_schemas.spec import RolloutPolicy
from trainer.application.conduct import Conductor, figures
from trainer.application.transitions import Entry, RolloutLog
from trainer.domain import verdict
from trainer.domain.rollout import Action, Trial
from trainer.domain.verdict import Evidence, Guardrail

_LOOKED_BACK = 500
_OF_A_TRIAL = {Action.SHADOW, Action.CANARY, Action.PROMOTED, Action.ROLLED_BACK, Action.PAUSED, Action.RESUMED}


@dataclass(frozen=True, slots=True)
class RolloutView:
    """The present rollout of a model, or the last one."""

    state: str
    champion: str | None
    challenger: str
    strategy: str
    percent: float
    step: int
    steps: Sequence[float]
    started_at: datetime
    paused: bool
    evidence: Sequence[Mapping[str, Any]]
    guardrails: Sequence[Guardrail]
    disagreement: Mapping[str, Any]
    decision: str
    why: str


class RolloutViews:
    """Reads only."""

    def __init__(self, log: RolloutLog, conductor: Conductor) -> None:
        self._log = log
        self._conductor = conductor

    def audit_log(self, model: str) -> list[Entry]:
        """Who did what to which version, when and why: newest first."""
        return self._log.latest(model, _LOOKED_BACK)[::-1]

    def rollout(self, model: str, policy: RolloutPolicy) -> RolloutView | None:
        """The rollout under way, else the last one; None where there was none."""
        entries = self._log.latest(model, _LOOKED_BACK)
        begun = [place for place, entry in enumerate(entries) if entry.action is Action.SHADOW]
        if not begun:
            return None
        first = entries[begun[-1]]
        version = first.release.version
        own = [e for e in entries[begun[-1] :] if e.release.version == version and e.action in _OF_A_TRIAL]
        ends = [place for place, e in enumerate(own) if e.standing.trial is None]
        own = own[: ends[0] + 1] if ends else own
        return self._view(model, own, policy)

    def _view(self, model: str, own: Sequence[Entry], policy: RolloutPolicy) -> RolloutView:
        last = own[-1]
        trial = next(e.standing.trial for e in reversed(own) if e.standing.trial is not None)
        live = self._conductor.points(model, trial) if last.standing.trial else []
        told = [_shown(entry.at, entry.figures) for entry in own if entry.figures.get("challenger")]
        seen = [_shown(point.at, figures(point.evidence, point.verdict)) for point in live]
        known = live[-1].evidence if live else Evidence()
        found = live[-1].verdict if live else None
        steps = sorted(trial.steps(policy))
        return RolloutView(
            state=_state(last),
            champion=last.standing.champion.version if last.standing.champion else None,
            challenger=trial.release.version,
            strategy=trial.strategy,
            percent=last.step.percent,
            step=_place(steps, trial),
            steps=steps,
            started_at=trial.started_at,
            paused=trial.paused and last.standing.trial is not None,
            evidence=sorted([*told, *seen], key=lambda shown: str(shown["at"])),
            guardrails=verdict.guardrails(known, policy, verdict.compare(known, policy)),
            disagreement=_disagreement(own, known),
            decision=last.action.value if found is None else "waiting",
            why=found.why if found is not None else last.reason,
        )


def _state(last: Entry) -> str:
    if last.standing.trial is not None:
        return "paused" if last.standing.trial.paused else last.standing.trial.state.value
    return last.action.value


def _place(steps: Sequence[float], trial: Trial) -> int:
    """How many steps the challenger has taken: 0 in the shadow."""
    return sum(percent <= trial.percent for percent in steps)


def _shown(at: datetime, known: Mapping[str, Any]) -> dict[str, Any]:
    names = ("champion", "challenger", "difference", "low", "high")
    return {"at": at.isoformat(), **{name: known.get(name) for name in names}}


def _disagreement(own: Sequence[Entry], known: Evidence) -> Mapping[str, Any]:
    """How often the challenger said something else in the shadow, in all and by class and slice."""
    health = known.health
    if health.shadowed:
        return {
            "answers": health.shadowed,
            "differ": health.disagreed,
            "classes": health.disagreement,
            "slices": health.slices,
        }
    for entry in reversed(own):  # counts only grow, and reports lag behind what is decided
        said = entry.figures.get("disagreed")
        if said and said.get("of"):
            slices = entry.figures.get("slices", {})
            return {"answers": said["of"], "differ": said["n"], "classes": said["classes"], "slices": slices}
    return {}
