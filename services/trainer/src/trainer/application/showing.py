"""Bringing the registry and the topics up to a transition that the log holds. Every part may be done again."""

from typing import Protocol

from flywheel_schemas.events import ModelUpdated
from registry import VersionState
from registry.runs import Outcome
from trainer.application.ports import Announcements, Registry
from trainer.application.transitions import Entry, model_updated, rollout_action
from trainer.domain.rollout import ALL_TRAFFIC, Action

_ENDED = {
    Action.REJECTED: (VersionState.REJECTED, Outcome.REJECTED),
    Action.SUPERSEDED: (VersionState.REJECTED, Outcome.SUPERSEDED),
    Action.ROLLED_BACK: (VersionState.ROLLED_BACK, Outcome.ROLLED_BACK),
    Action.PROMOTED: (VersionState.PROMOTED, Outcome.PROMOTED),
}


class Endings(Protocol):
    """The record of trainings, as a rollout needs it."""

    def finish_open(self, run_id: str, outcome: Outcome, reason: str, version: str) -> None:
        """Record the outcome, unless the run has one."""


class Showing:
    """The registry first, then the topics; where a version is taken from its place, the other way round."""

    def __init__(self, registry: Registry, announcements: Announcements, runs: Endings) -> None:
        self._registry = registry
        self._announcements = announcements
        self._runs = runs

    def tell(self, entry: Entry) -> None:
        """To all who serve. Raises what publishing raises."""
        self._announcements.publish(model_updated(entry))

    def record(self, entry: Entry) -> None:
        """Into the audit log. Raises what publishing raises."""
        self._announcements.record(rollout_action(entry))

    def completed(self, model: str) -> int:
        """The last transition that was shown and told in full; -1 before the first. Raises RegistryUnavailable."""
        found = self._registry.rollout_sequence(model)
        return -1 if found is None else found

    def show(self, entry: Entry) -> None:
        """In the registry: who is champion and challenger, and every version's state."""
        standing, model = entry.standing, entry.model
        if standing.champion is not None:
            previous = standing.former[0].version if standing.former and entry.action is Action.PROMOTED else None
            self._registry.set_champion(model, standing.champion.version, previous=previous)
        if entry.action not in {Action.REGISTERED, Action.REJECTED, Action.WAITING, Action.SUPERSEDED}:
            self._registry.set_challenger(model, standing.trial.release.version if standing.trial else None)
        self._states(entry)

    def close(self, entry: Entry) -> None:
        """The outcome of the version's training, then the number: with it the transition is complete."""
        if entry.action in _ENDED and entry.release.run_id:
            outcome = _ENDED[entry.action][1]
            self._runs.finish_open(entry.release.run_id, outcome, entry.reason, entry.release.version)
        self._registry.set_rollout_sequence(entry.model, entry.sequence)

    def _states(self, entry: Entry) -> None:
        standing, trial = entry.standing, entry.standing.trial
        if entry.action in _ENDED:
            percent = entry.step.percent
            self._state(entry, entry.release.version, _ENDED[entry.action][0], percent)
        if entry.action is Action.PROMOTED and entry.previous is not None:
            self._state(entry, entry.previous, VersionState.RETIRED, 0.0)
        if trial is not None:
            self._state(entry, trial.release.version, VersionState(trial.state.value), trial.percent)
        if standing.champion is not None and entry.action not in {Action.REGISTERED, Action.REJECTED}:
            percent = ALL_TRAFFIC - (trial.percent if trial else 0.0)
            self._state(entry, standing.champion.version, VersionState.PROMOTED, percent)

    def _state(self, entry: Entry, version: str, state: VersionState, percent: float) -> None:
        self._registry.set_state(
            entry.model, version, state, traffic_percent=percent, reason=entry.reason, who=entry.who
        )


def told_last(latest: ModelUpdated | None) -> int:
    """The last transition that the topic tells of; -1 before the first."""
    return latest.sequence if latest is not None and latest.sequence is not None else -1
