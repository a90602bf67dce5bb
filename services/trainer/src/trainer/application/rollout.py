"""Carries out the steps of the rollout: the registry first, then model-updated.

The champion's alias is the moment at which a step has happened. Whatever a crash leaves undone after it is done by
`recover`, and before it nothing has happened.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from flywheel_schemas.events import ModelAction, ModelUpdated
from flywheel_schemas.spec import RolloutPolicy
from registry import ModelVersion, VersionState
from telemetry import logging
from trainer.application.announcing import model_updated
from trainer.application.ports import Announcements, Registry
from trainer.domain import rollout as steps
from trainer.domain.rollout import Change, Standing, Step

_LOG = logging.get("trainer")
TRAINER = "trainer"


class Rollout:
    """Every change of a version's state in this process goes through here, one at a time per model."""

    def __init__(self, registry: Registry, announcements: Announcements, now: Callable[[], datetime]) -> None:
        self._registry = registry
        self._announcements = announcements
        self._now = now
        self._locks: dict[str, threading.RLock] = defaultdict(threading.RLock)

    def settle(self, version: ModelVersion, policy: RolloutPolicy) -> Step:
        """Promote or reject a version whose gates have been judged. Doing it again finishes what was begun."""
        with self._locks[version.model]:
            version = self._registry.version(version.model, version.version)
            champion = self._registry.champion(version.model)
            step = self._decide(version, champion, policy)
            self._carry_out(version.model, step, TRAINER)
            return step

    def promote(self, model: str, version: str, reason: str, who: str, *, force: bool) -> Step:
        """Make `version` the champion. Raises NotAllowed or UnknownVersion."""
        with self._locks[model]:
            target = _standing(self._registry.version(model, version))
            champion = self._registry.champion(model)
            step = steps.promote(target, _standing(champion) if champion else None, reason, force=force)
            self._carry_out(model, step, who)
            return step

    def rollback(self, model: str, version: str | None, reason: str, who: str) -> Step:
        """Go back to `version`, or to the previous champion. Raises NotAllowed or UnknownVersion."""
        with self._locks[model]:
            champion = self._registry.champion(model)
            wanted = version or (champion.previous_champion if champion else None)
            target = _standing(self._registry.version(model, wanted)) if wanted else None
            step = steps.rollback(_standing(champion) if champion else None, target, reason)
            self._registry.tag_version(model, step.version, "rolled_back_to", str(step.champion))
            self._carry_out(model, step, who)
            return step

    def recover(self, model: str, latest: ModelUpdated | None) -> Step | None:
        """Finish what a crash interrupted: states that lag behind the alias, and a change that was not announced."""
        with self._locks[model]:
            champion = self._registry.champion(model)
            if champion is None:
                return None
            stale = self._catch_up(model, champion)
            if latest is not None and latest.champion == champion.version:
                return None
            step = _as_it_stands(champion, stale, latest)
            _LOG.warning(
                "announcing_what_a_crash_left", model=model, action=step.action.value, champion=champion.version
            )
            self._announce(model, step)
            return step

    def announce_registered(self, version: ModelVersion) -> None:
        """Tell that there is a new version, before it is decided what becomes of it."""
        champion = self._registry.champion(version.model)
        serving = champion.version if champion else None
        step = Step(ModelAction.REGISTERED, version.version, serving, None, (), version.reason)
        self._announce(version.model, step)

    def _decide(self, version: ModelVersion, champion: ModelVersion | None, policy: RolloutPolicy) -> Step:
        candidate, serving = _standing(version), _standing(champion) if champion else None
        if champion and champion.version == version.version:
            previous = version.previous_champion
            before = Standing(previous, VersionState.RETIRED) if previous else None
            return steps.take_over(candidate, before, version.reason)
        if version.state is VersionState.REJECTED:
            return steps.reject(candidate, serving, version.reason)
        if (champion.version if champion else None) != version.judged_against:
            now, then = serving.version if serving else "none", version.judged_against or "none"
            reason = f"the champion changed from {then} to {now} while this version was judged; retrain to compare anew"
            return steps.reject(candidate, serving, reason)
        return steps.after_gates(candidate, serving, version.gates, policy)

    def _carry_out(self, model: str, step: Step, who: str) -> None:
        current = self._registry.champion(model)
        if step.champion and (current is None or current.version != step.champion):
            previous = step.previous if step.action is ModelAction.PROMOTED else None
            self._registry.set_champion(model, step.champion, previous=previous)
        for change in step.changes:
            self._write(model, change, step.reason, who)
        self._announce(model, step)
        _LOG.info("model_updated", model=model, action=step.action.value, version=step.version, champion=step.champion)

    def _write(self, model: str, change: Change, reason: str, who: str) -> None:
        self._registry.set_state(
            model, change.version, change.state, traffic_percent=change.traffic_percent, reason=reason, who=who
        )

    def _announce(self, model: str, step: Step) -> None:
        version = self._registry.version(model, step.version)
        champion = self._registry.version(model, step.champion) if step.champion else None
        self._announcements.publish(model_updated(step, version, champion, self._now()))

    def _catch_up(self, model: str, champion: ModelVersion) -> ModelVersion | None:
        """Bring the states in line with the alias; the version that a rollback took from its place, if it was one."""
        taken_back = None
        if champion.state is not VersionState.PROMOTED:
            self._write(model, Change(champion.version, VersionState.PROMOTED, 100.0), "completed at start", TRAINER)
        for version in self._registry.versions(model):
            if version.version == champion.version:
                continue
            went_back = version.rolled_back_to == champion.version
            taken_back = version if went_back else taken_back
            if version.state is VersionState.PROMOTED:
                state = VersionState.ROLLED_BACK if went_back else VersionState.RETIRED
                self._write(model, Change(version.version, state, 0.0), "completed at start", TRAINER)
        return taken_back


def _standing(version: ModelVersion) -> Standing:
    return Standing(version.version, version.state, version.previous_champion)


def _as_it_stands(champion: ModelVersion, taken_back: ModelVersion | None, latest: ModelUpdated | None) -> Step:
    """The step that led to `champion`, told after the fact."""
    if taken_back is not None and latest is not None and latest.champion == taken_back.version:
        back = (Change(taken_back.version, VersionState.ROLLED_BACK, 0.0),)
        reason = taken_back.reason or "rolled back"
        return Step(ModelAction.ROLLED_BACK, taken_back.version, champion.version, taken_back.version, back, reason)
    previous = champion.previous_champion
    before = Standing(previous, VersionState.RETIRED) if previous else None
    return steps.take_over(_standing(champion), before, champion.reason)
