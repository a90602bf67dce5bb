"""One transition on its way: decided and numbered in the lake, shown by the registry, told to everybody.

The number decides: whoever writes entry n has made that transition. Registry and topics follow from the entry alone, so
whoever finds them behind, this process or another after a crash, brings them up to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from flywheel_schemas.events import ChallengerState, GateReport, ModelAction, ModelUpdated, RolloutAction
from trainer.domain.rollout import Action, Release, Standing, Step


@dataclass(frozen=True, slots=True)
class Entry:
    """Transition `sequence` of a model: who did what to which version, when and why; and how the model stands after.

    `figures` is what was known when it was decided.
    """

    model: str
    sequence: int
    at: datetime
    who: str
    action: Action
    release: Release
    standing: Standing
    reason: str
    previous: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def step(self) -> Step:
        """The transition itself."""
        return Step(self.action, self.release, self.standing, self.reason, self.previous)


class RolloutLog(Protocol):
    """Every transition of every model, in order."""

    def last(self, model: str) -> Entry | None:
        """The newest entry, or None before the first."""

    def append(self, entry: Entry) -> bool:
        """Write the entry unless its number is taken; whether this call wrote it."""

    def latest(self, model: str, count: int) -> list[Entry]:
        """The last `count` entries, oldest first."""


_TOLD_AS = {Action.WAITING: Action.REGISTERED, Action.SUPERSEDED: Action.REJECTED}


def model_updated(entry: Entry) -> ModelUpdated:
    """The present state of the model, as the entry leaves it."""
    release, champion, trial = entry.release, entry.standing.champion, entry.standing.trial
    goes_on = trial is not None and entry.action in {Action.PAUSED, Action.RESUMED}
    action = trial.state if trial and goes_on else _TOLD_AS.get(entry.action, entry.action)
    return ModelUpdated(
        model=entry.model,
        model_version=release.version,
        action=ModelAction(action.value),
        traffic_percent=entry.step.percent,
        previous_version=entry.previous,
        champion=champion.version if champion else None,
        champion_artifact_uri=champion.artifact_uri if champion else None,
        champion_artifact_sha256=champion.artifact_sha256 if champion else None,
        run_id=release.run_id,
        trigger_id=UUID(release.trigger_id) if release.trigger_id else None,
        dataset_versions=dict(release.dataset_versions),
        training_set_hash=release.training_set_hash,
        metrics=dict(release.metrics),
        gates=[GateReport.model_validate(dict(gate)) for gate in release.gates],
        artifact_uri=release.artifact_uri,
        artifact_sha256=release.artifact_sha256,
        reason=entry.reason,
        who=entry.who,
        occurred_at=entry.at,
        sequence=entry.sequence,
        challenger=trial.release.version if trial else None,
        challenger_state=ChallengerState(trial.state.value) if trial else None,
        challenger_traffic_percent=trial.percent if trial else None,
        challenger_artifact_uri=trial.release.artifact_uri if trial else None,
        challenger_artifact_sha256=trial.release.artifact_sha256 if trial else None,
        paused=trial.paused if trial else None,
    )


def rollout_action(entry: Entry) -> RolloutAction:
    """The entry, as the audit log tells it."""
    champion, trial = entry.standing.champion, entry.standing.trial
    return RolloutAction(
        model=entry.model,
        sequence=entry.sequence,
        at=entry.at,
        who=entry.who,
        action=entry.action.value,
        version=entry.release.version,
        reason=entry.reason,
        champion=champion.version if champion else None,
        challenger=trial.release.version if trial else None,
        traffic_percent=entry.step.percent,
    )
