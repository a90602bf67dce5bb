"""Every change of who serves a model goes through here: decided, numbered in the log, shown, told.

Safety before book-keeping: a rollback is told first and shown in the registry after, so it needs no registry;
everything else is in the registry before anybody is told.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flywheel_schemas.events import ModelUpdated
from flywheel_schemas.spec import RolloutPolicy
from registry import ModelVersion, RegistryUnavailable, VersionState
from telemetry import logging, metrics
from trainer.application.ports import Registry
from trainer.application.showing import Showing, told_last
from trainer.application.transitions import Entry, RolloutLog
from trainer.domain import rollout as steps
from trainer.domain.rollout import Action, Release, Standing, Step

_LOG = logging.get("trainer")
TRAINER, REGISTRY = "trainer", "registry"
_LOOKED_BACK = 200
_TRANSITIONS = metrics.counter(
    "flywheel_rollout_transitions_total", "Transitions of versions, by what was done to one.", ("model", "action")
)
Decide = Callable[[Standing], Step | None]


class Rollout:
    """Transitions of models, one after the other whoever asks for them. Safe to use from several threads."""

    def __init__(self, log: RolloutLog, registry: Registry, showing: Showing, now: Callable[[], datetime]) -> None:
        self._log = log
        self._registry = registry
        self._showing = showing
        self._now = now

    def standing(self, model: str) -> Standing:
        """How the model stands now."""
        last = self._log.last(model)
        return last.standing if last else self._of_registry(model)

    def take(self, model: str, decide: Decide, who: str, figures: Mapping[str, Any] | None = None) -> Entry | None:
        """Make the transition that `decide` finds, if any: of whatever stands when it is this call's turn."""
        entry = self._numbered(model, decide, who, figures or {})
        if entry is not None:
            self._carry_out(entry)
        return entry

    def announce_registered(self, version: ModelVersion) -> None:
        """Tell that there is a new version, before it is decided what becomes of it."""
        release = release_of(version)
        self.take(version.model, lambda standing: steps.register(standing, release, version.reason), TRAINER)

    def settle(self, version: ModelVersion, policy: RolloutPolicy) -> Step:
        """What becomes of a version whose gates have been judged. Doing it again finds what was decided."""
        self.finish(version.model)
        known = self._decided(version)
        if known is not None:
            return known
        candidate = release_of(version)
        failed = [f"{gate.name}: {gate.reason}" for gate in version.gates if not gate.passed]

        def decide(standing: Standing) -> Step:
            return steps.after_gates(standing, candidate, failed, policy, self._now())

        while True:
            entry = self.take(version.model, decide, TRAINER)
            assert entry is not None  # noqa: S101 - gates always lead somewhere
            if entry.release.version == candidate.version:
                return entry.step

    def promote(
        self, model: str, version: str, reason: str, who: str, *, force: bool, strategy: str = "instant"
    ) -> Step:
        """Make `version` the champion, at once or by a trial. Raises NotAllowed or UnknownVersion."""
        found = self._registry.version(model, version)
        target, rejected = release_of(found), found.state is VersionState.REJECTED and not force
        self.finish(model)

        def decide(standing: Standing) -> Step:
            step = steps.promote(standing, target, reason, rejected=rejected)
            return step if strategy == "instant" else steps.begin(standing, target, strategy, reason, self._now())

        return self._until(model, decide, who, target.version)

    def rollback(self, model: str, version: str | None, reason: str, who: str) -> Step:
        """Go back: from a trial to the champion, else to `version` or the champion before. Needs no registry unless
        `version` is none that served lately. Raises NotAllowed or UnknownVersion.
        """
        target, rejected = self._target(model, version) if version else (None, False)

        def decide(standing: Standing) -> Step:
            return steps.rollback(standing, target, reason, rejected=rejected)

        entry = self.take(model, decide, who)
        assert entry is not None  # noqa: S101 - a rollback is made or refused
        champion = entry.standing.champion
        if version and champion and champion.version != version:
            return self.rollback(model, version, reason, who)
        return entry.step

    def pause(self, model: str, reason: str, who: str) -> Step:
        """Hold the challenger at its share. Raises NotAllowed."""
        return self._until(model, lambda standing: steps.pause(standing, reason), who)

    def resume(self, model: str, reason: str, who: str) -> Step:
        """Go on. Raises NotAllowed."""
        return self._until(model, lambda standing: steps.resume(standing, reason), who)

    def finish(self, model: str, latest: ModelUpdated | None = None, *, check_topic: bool = False) -> bool:
        """Show and tell what a crash left undone; whether there was any.

        A champion that a person has set in MLflow itself is taken over into the log.
        """
        shown = self._showing.completed(model)
        champion = self._registry.champion(model)
        last = self._log.last(model)
        if last is None:
            return False
        untold = check_topic and told_last(latest) < last.sequence
        if shown < last.sequence or untold:
            _LOG.warning("finishing_a_transition", model=model, shown=shown, untold=untold, last=last.sequence)
            self._bring_up(last)
            return True
        ours = last.standing.champion.version if last.standing.champion else None
        if shown == last.sequence and champion is not None and champion.version != ours:
            release, reason = release_of(champion), "the alias champion was moved in MLflow"
            self._until(model, lambda standing: steps.promote(standing, release, reason), REGISTRY, release.version)
            return True
        return False

    def _numbered(self, model: str, decide: Decide, who: str, figures: Mapping[str, Any]) -> Entry | None:
        while True:
            last = self._log.last(model)
            step = decide(last.standing if last else self._of_registry(model))
            if step is None:
                return None
            number = last.sequence + 1 if last else 0
            entry = Entry(
                model,
                number,
                self._now(),
                who,
                step.action,
                step.release,
                step.standing,
                step.reason,
                step.previous,
                figures,
            )
            if self._log.append(entry):
                return entry

    def _carry_out(self, entry: Entry) -> None:
        if entry.action is Action.ROLLED_BACK:
            self._showing.tell(entry)
            try:
                self._bring_up(entry, told=True)
            except RegistryUnavailable as exc:
                _LOG.warning("rolled_back_without_the_registry", model=entry.model, reason=str(exc))
        else:
            self._bring_up(entry)
        _TRANSITIONS.labels(entry.model, entry.action.value).inc()
        _LOG.info(
            "model_updated", model=entry.model, action=entry.action.value, version=entry.release.version, who=entry.who
        )

    def _bring_up(self, last: Entry, *, told: bool = False) -> None:
        """Show, tell and close what is not complete, up to `last`. Every part may have been done before."""
        completed = self._showing.completed(last.model)
        count = last.sequence - completed
        missing = [last] if count <= 1 else self._log.latest(last.model, count)
        missing = [entry for entry in missing if entry.sequence <= last.sequence]
        for entry in missing:
            self._showing.show(entry)
            self._showing.record(entry)
        newest = self._log.last(last.model)
        if not told and newest is not None and newest.sequence == last.sequence:
            self._showing.tell(last)
        for entry in missing:
            self._showing.close(entry)

    def _until(self, model: str, decide: Decide, who: str, version: str | None = None) -> Step:
        """Transitions until the one that is about `version`: a trial of another may have to end first."""
        while True:
            entry = self.take(model, decide, who)
            assert entry is not None  # noqa: S101 - what a person asks for is made or refused
            if version is None or entry.release.version == version:
                return entry.step

    def _decided(self, version: ModelVersion) -> Step | None:
        """What the log says of a version already, beyond that it was registered."""
        found = [
            entry
            for entry in self._log.latest(version.model, _LOOKED_BACK)
            if entry.release.version == version.version and entry.action is not Action.REGISTERED
        ]
        return found[-1].step if found else None

    def _target(self, model: str, version: str) -> tuple[Release, bool]:
        for release in self.standing(model).former:
            if release.version == version:
                return release, False
        found = self._registry.version(model, version)
        return release_of(found), found.state is VersionState.REJECTED

    def _of_registry(self, model: str) -> Standing:
        """How a model stands that has no log yet."""
        champion = self._registry.champion(model)
        if champion is None:
            return Standing()
        before = champion.previous_champion
        former = (release_of(self._registry.version(model, before)),) if before else ()
        return Standing(release_of(champion), former)


def release_of(version: ModelVersion) -> Release:
    """What is told of a registered version."""
    return Release(
        version=version.version,
        run_id=version.run_id,
        artifact_uri=version.artifact_uri,
        artifact_sha256=version.artifact_sha256,
        training_set_hash=version.training_set_hash,
        trigger_id=version.trigger_id,
        judged_against=version.judged_against,
        dataset_versions=dict(version.dataset_versions),
        metrics=dict(version.metrics),
        gates=tuple(gate.model_dump(mode="json") for gate in version.gates),
    )
