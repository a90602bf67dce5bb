"""How a version comes to serve, and ceases to: pure steps from one standing of a model to the next.

registered ─┬─> rejected                    a gate failed, or the champion it was compared with is gone
            ├─> promoted                    strategy instant, or the first version of a model
            ├─> waiting ──> (as registered) another version is on trial
            └─> shadow ──> canary ──> … ──> promoted
                   └─────────┴──────────> rolled_back
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from flywheel_schemas.spec import RolloutPolicy
from trainer.domain.errors import NotAllowed

FORMER_KEPT = 5
ALL_TRAFFIC = 100.0


class Action(StrEnum):
    """What is done to one version: an entry of the audit log."""

    REGISTERED = "registered"
    REJECTED = "rejected"
    WAITING = "waiting"
    SUPERSEDED = "superseded"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    PAUSED = "paused"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class Release:
    """A version with all that is told of it, so that it can be told without asking anybody. `gates` as JSON."""

    version: str
    run_id: str
    artifact_uri: str
    artifact_sha256: str
    training_set_hash: str = ""
    trigger_id: str | None = None
    judged_against: str | None = None
    dataset_versions: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    gates: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Passed:
    """A time during which the challenger answered `percent` of the traffic."""

    percent: float
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Trial:
    """A challenger's way: it answers `percent` since `since`; at 0 it is in the shadow."""

    release: Release
    strategy: str
    percent: float
    started_at: datetime
    since: datetime
    passed: tuple[Passed, ...] = ()
    paused: bool = False

    @property
    def state(self) -> Action:
        """Shadow or canary."""
        return Action.CANARY if self.percent > 0.0 else Action.SHADOW

    def steps(self, policy: RolloutPolicy) -> tuple[float, ...]:
        """The shares of traffic that the challenger goes through."""
        return (ALL_TRAFFIC,) if self.strategy == "blue_green" else policy.steps

    def next_step(self, policy: RolloutPolicy) -> float | None:
        """The next share of the traffic; None after the last."""
        return next((percent for percent in sorted(self.steps(policy)) if percent > self.percent), None)


@dataclass(frozen=True, slots=True)
class Standing:
    """Who serves a model, who served before (latest first), who is on trial, and who waits for its turn."""

    champion: Release | None = None
    former: tuple[Release, ...] = ()
    trial: Trial | None = None
    waiting: Release | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One transition of one version, and the standing that it leads to. `previous` served before, if that changed."""

    action: Action
    release: Release
    standing: Standing
    reason: str
    previous: str | None = None

    @property
    def percent(self) -> float:
        """Share of the traffic that the version answers after this."""
        champion, trial = self.standing.champion, self.standing.trial
        if trial and trial.release.version == self.release.version:
            return trial.percent
        if champion and champion.version == self.release.version:
            return ALL_TRAFFIC - (trial.percent if trial else 0.0)
        return 0.0


def register(standing: Standing, candidate: Release, reason: str) -> Step:
    """There is a new version; it is not decided yet what becomes of it."""
    return Step(Action.REGISTERED, candidate, standing, reason)


def after_gates(
    standing: Standing, candidate: Release, failed: Sequence[str], policy: RolloutPolicy, now: datetime
) -> Step:
    """What becomes of a version whose gates have been judged; `failed` says why each that failed did.

    Raises NotAllowed for a version that has its place already.
    """
    trial = standing.trial.release if standing.trial else None
    if any(place and place.version == candidate.version for place in (standing.champion, trial, standing.waiting)):
        raise NotAllowed(f"version {candidate.version} serves, is on trial or waits already")
    if failed:
        return reject(standing, candidate, "; ".join(failed))
    champion = standing.champion.version if standing.champion else None
    if candidate.judged_against != champion:
        then = candidate.judged_against or "none"
        reason = f"the champion changed from {then} to {champion or 'none'} while this version was judged"
        return reject(standing, candidate, f"{reason}; retrain to compare anew")
    if standing.trial is not None:
        return wait(standing, candidate)
    passed = f"passed {len(candidate.gates)} gates"
    if standing.champion is None or policy.strategy == "instant":
        return take_over(standing, candidate, passed)
    return begin(standing, candidate, policy.strategy, passed, now)


def reject(standing: Standing, candidate: Release, reason: str) -> Step:
    """The version will not serve."""
    return Step(Action.REJECTED, candidate, standing, reason)


def wait(standing: Standing, candidate: Release) -> Step:
    """Another version is on trial. One version waits: the one that waited before makes place first."""
    if standing.waiting is not None:
        reason = f"version {candidate.version} is newer and waits in its place"
        return Step(Action.SUPERSEDED, standing.waiting, replace(standing, waiting=None), reason)
    trial = standing.trial.release.version if standing.trial else "none"
    reason = f"version {trial} is on trial; this one follows if that is rolled back"
    return Step(Action.WAITING, candidate, replace(standing, waiting=candidate), reason)


def next_of_waiting(standing: Standing, policy: RolloutPolicy, now: datetime) -> Step | None:
    """What becomes of the version that waits, once nothing is on trial any more; None: it goes on waiting."""
    waiting = standing.waiting
    if waiting is None or standing.trial is not None:
        return None
    free = replace(standing, waiting=None)
    champion = standing.champion.version if standing.champion else None
    if waiting.judged_against != champion:
        reason = f"version {champion} has become the champion, with which it was not compared; retrain to compare anew"
        return Step(Action.SUPERSEDED, waiting, free, reason)
    if policy.strategy == "instant":
        return take_over(free, waiting, "its turn came")
    return begin(free, waiting, policy.strategy, "its turn came", now)


def begin(standing: Standing, challenger: Release, strategy: str, reason: str, now: datetime) -> Step:
    """The challenger starts in the shadow. Raises NotAllowed while another is on trial, or where nobody serves."""
    if standing.trial is not None:
        version = standing.trial.release.version
        raise NotAllowed(f"version {version} is on trial; roll it back first, or promote with strategy instant")
    if standing.champion is None:
        raise NotAllowed("no version serves, so there is nothing to compare with; promote with strategy instant")
    if standing.champion.version == challenger.version:
        raise NotAllowed(f"version {challenger.version} is the champion already")
    trial = Trial(challenger, strategy, 0.0, now, now)
    waiting = _unless(standing.waiting, challenger)
    return Step(Action.SHADOW, challenger, replace(standing, trial=trial, waiting=waiting), reason)


def advance(standing: Standing, percent: float, reason: str, now: datetime) -> Step:
    """The challenger answers `percent` of the traffic from now on."""
    trial = _on_trial(standing)
    passed = (*trial.passed, Passed(trial.percent, trial.since, now)) if trial.percent > 0.0 else trial.passed
    moved = replace(trial, percent=percent, since=now, passed=passed)
    return Step(Action.CANARY, trial.release, replace(standing, trial=moved), reason)


def take_over(standing: Standing, target: Release, reason: str) -> Step:
    """`target` serves all traffic; the champion before it is the first to go back to."""
    before = standing.champion
    former = tuple(each for each in ((before, *standing.former) if before else ()) if each.version != target.version)
    trial = standing.trial if standing.trial and standing.trial.release.version != target.version else None
    after = Standing(target, former[:FORMER_KEPT], trial, _unless(standing.waiting, target))
    return Step(Action.PROMOTED, target, after, reason, before.version if before else None)


def take_back(standing: Standing, reason: str) -> Step:
    """The challenger answers nothing any more; the champion serves on."""
    trial = _on_trial(standing)
    return Step(Action.ROLLED_BACK, trial.release, replace(standing, trial=None), reason)


def promote(standing: Standing, target: Release, reason: str, *, rejected: bool = False) -> Step:
    """A person makes `target` the champion; a trial of another version ends first (call again).

    Raises NotAllowed for a version that serves already or was `rejected`.
    """
    if standing.champion and standing.champion.version == target.version:
        raise NotAllowed(f"version {target.version} is the champion already")
    if rejected:
        raise NotAllowed(f"version {target.version} was rejected by its gates; force lets it serve nevertheless")
    if standing.trial and standing.trial.release.version != target.version:
        return take_back(standing, f"version {target.version} is promoted by hand: {reason}")
    return take_over(standing, target, reason)


def rollback(standing: Standing, target: Release | None, reason: str, *, rejected: bool = False) -> Step:
    """A person goes back: from a trial to the champion, else from the champion to the one before, or to `target`.

    With a `target` a trial ends first (call again). Raises NotAllowed where there is nothing to go back to.
    """
    champion = standing.champion
    if champion is None:
        raise NotAllowed("no version serves, so there is nothing to roll back")
    if standing.trial is not None:
        return take_back(standing, reason)
    to = target or (standing.former[0] if standing.former else None)
    if to is None:
        raise NotAllowed(f"version {champion.version} is the first champion; name the version to go back to")
    if to.version == champion.version:
        raise NotAllowed(f"version {to.version} is the champion already")
    if rejected:
        raise NotAllowed(f"version {to.version} was rejected by its gates; promote it with force instead")
    places = [place for place, each in enumerate(standing.former) if each.version == to.version]
    former = standing.former[places[0] + 1 :] if places else standing.former
    after = Standing(to, former, None, _unless(standing.waiting, to))
    return Step(Action.ROLLED_BACK, champion, after, reason, champion.version)


def pause(standing: Standing, reason: str) -> Step:
    """The challenger keeps its share; guardrails still take it back. Raises NotAllowed."""
    trial = _on_trial(standing)
    if trial.paused:
        raise NotAllowed(f"the rollout of version {trial.release.version} is paused already")
    return Step(Action.PAUSED, trial.release, replace(standing, trial=replace(trial, paused=True)), reason)


def resume(standing: Standing, reason: str) -> Step:
    """The rollout goes on where it was paused. Raises NotAllowed."""
    trial = _on_trial(standing)
    if not trial.paused:
        raise NotAllowed(f"the rollout of version {trial.release.version} is not paused")
    return Step(Action.RESUMED, trial.release, replace(standing, trial=replace(trial, paused=False)), reason)


def _unless(waiting: Release | None, taken: Release) -> Release | None:
    """Who still waits, once `taken` has another place."""
    return None if waiting and waiting.version == taken.version else waiting


def _on_trial(standing: Standing) -> Trial:
    if standing.trial is None:
        raise NotAllowed("no version is on trial")
    return standing.trial
