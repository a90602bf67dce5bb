"""Fires the triggers that need a model to be seen: quality, drift and schedule. The count is the processor's."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Protocol

from flywheel_schemas.events import ThresholdReached
from flywheel_schemas.spec import RetrainPolicy
from registry import ModelVersion
from telemetry import logging
from trainer.application.observing import Observing, Windows
from trainer.application.ports import Datasets, Registry, Runs
from trainer.domain import watching as decide
from trainer.domain.watching import Finding

_LOG = logging.get("trainer")


class TriggerBook(Protocol):
    """The log of triggers, and the topic that tells of them."""

    def last(self, model: str) -> ThresholdReached | None:
        """The newest trigger."""

    def since(self, model: str, moment: datetime) -> list[ThresholdReached]:
        """The triggers at or after `moment`, newest first."""

    def fire_found(self, model: str, finding: Finding, after: ThresholdReached | None) -> ThresholdReached | None:
        """Log and announce the finding as the trigger that follows `after`; None where another one came first."""

    def announce(self, trigger: ThresholdReached) -> None:
        """Announce a logged trigger, perhaps again."""


class Watching:
    """Looks at each model now and then. Doing it twice, or in two processes, fires a crossing once: the log decides."""

    def __init__(
        self,
        observing: Observing,
        windows: Windows,
        book: TriggerBook,
        datasets: Datasets,
        *,
        registry: Registry,
        runs: Runs,
        now: Callable[[], datetime],
    ) -> None:
        self._observing = observing
        self._windows = windows
        self._book = book
        self._datasets = datasets
        self._registry = registry
        self._runs = runs
        self._now = now
        self._seen: dict[str, tuple[int, int]] = {}

    def models(self) -> list[str]:
        """The models that are looked at."""
        return self._datasets.models()

    def look(self, model: str) -> ThresholdReached | None:
        """Fire the first crossing that nobody has told of yet; what was fired. One training at a time per model."""
        policy = self._datasets.spec(model).retrain
        if policy.quality is None and policy.drift is None and policy.every is None:
            return None
        champion, last, now = self._registry.champion(model), self._book.last(model), self._now()
        if champion is None or policy.held_back(now, last.occurred_at if last else None):
            return None
        if last is not None and self._is_open(last):
            return None
        found = next(self._crossings(model, policy, champion, last), None)
        if found is None:
            return None
        fired = self._book.fire_found(model, found, last)
        if fired is not None:
            _LOG.info("threshold_reached", model=model, trigger_id=str(fired.trigger_id), reason=found.note)
        return fired

    def announce_again(self, model: str) -> bool:
        """Announce the newest trigger if it has no outcome yet: who logged it may have died before it was announced."""
        last = self._book.last(model)
        if last is None or not self._is_open(last):
            return False
        self._book.announce(last)
        return True

    def _crossings(
        self, model: str, policy: RetrainPolicy, champion: ModelVersion, last: ThresholdReached | None
    ) -> Iterator[Finding]:
        state = self._windows.state(model)
        if self._seen.get(model) != state:
            yield from self._of_quality(model, policy, champion)
            yield from self._of_drift(model, policy)
            self._seen[model] = state
        trained = max(champion.created_at, last.occurred_at) if last else champion.created_at
        if policy.every and (due := decide.schedule_crossing(policy.every, trained, self._now())):
            yield due

    def _of_quality(self, model: str, policy: RetrainPolicy, champion: ModelVersion) -> Iterator[Finding]:
        if policy.quality is None:
            return
        versions = self._observing.quality(model, policy.quality.window)
        seen = next((each for each in versions if each.version == champion.version), None)
        found = decide.quality_crossing(policy.quality, seen) if seen else None
        if found and not self._told(model, found, policy.quality.window):
            yield found

    def _of_drift(self, model: str, policy: RetrainPolicy) -> Iterator[Finding]:
        if policy.drift is None or (seen := self._observing.drift(model, policy.drift.window)) is None:
            return
        for found in decide.drift_crossings(policy.drift, seen):
            if not self._told(model, found, policy.drift.window):
                yield found
                return

    def _told(self, model: str, found: Finding, window: timedelta) -> bool:
        return decide.is_told(found, self._book.since(model, self._now() - window))

    def _is_open(self, trigger: ThresholdReached) -> bool:
        run = self._runs.for_trigger(trigger.model, str(trigger.trigger_id))
        return run is None or run.outcome is None
