"""model-updated, the audit log and threshold-reached."""

from collections.abc import Callable
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from pydantic import ValidationError

from flywheel_schemas.events import ModelAction, ModelUpdated, RolloutAction, ThresholdReached, TriggerReason
from flywheel_schemas.topics import MODEL_UPDATED, ROLLOUT_AUDIT_LOG, THRESHOLD_REACHED
from kafka_runtime import tail
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings
from lake import Lake
from lake.triggers import TriggerLog, mark, trigger_id
from telemetry import logging
from trainer.domain.watching import Finding

_LOG = logging.get("trainer")


class KafkaAnnouncements:
    """Publishes the present state of a model, and reads what was published last."""

    def __init__(self, settings: KafkaSettings, publisher: Publisher, lake: Lake) -> None:
        self._settings = settings
        self._publisher = publisher
        self._lake = lake

    def publish(self, event: ModelUpdated) -> None:
        """Returns when all replicas have it. Raises BrokerUnavailable, and for a promotion lake errors."""
        if event.action is ModelAction.PROMOTED and event.trigger_id is not None:
            trigger = TriggerLog(self._lake, event.model).find(event.trigger_id)
            event = event.model_copy(update={"triggered_at": trigger.occurred_at if trigger else None})
        self._publisher.publish(MODEL_UPDATED, event.model, event)

    def record(self, action: RolloutAction) -> None:
        """The same entry has the same event id, however often it is told. Raises BrokerUnavailable."""
        event_id = str(uuid5(NAMESPACE_URL, f"flywheel:{action.model}:rollout:{action.sequence}"))
        self._publisher.publish(ROLLOUT_AUDIT_LOG, action.model, action, event_id=event_id)

    def latest(self) -> dict[str, ModelUpdated]:
        """The last readable event of each model."""
        found = {}
        for model, record in tail.latest_by_key(self._settings, MODEL_UPDATED).items():
            try:
                found[model] = ModelUpdated.parse(record.value or b"")
            except ValidationError as exc:
                _LOG.warning("model_updated_unreadable", model=model, detail=str(exc))
        return found


class LakeTriggers:
    """The lake's trigger log; a manual trigger goes the same way as any other."""

    def __init__(self, lake: Lake, publisher: Publisher, now: Callable[[], datetime], partitions: int) -> None:
        self._lake = lake
        self._publisher = publisher
        self._now = now
        self._partitions = partitions

    def last(self, model: str) -> ThresholdReached | None:
        """The newest trigger, or None."""
        return TriggerLog(self._lake, model).last()

    def logged(self, model: str, trigger_id: str) -> bool:
        """Whether the log holds this trigger."""
        return any(str(trigger.trigger_id) == trigger_id for trigger in TriggerLog(self._lake, model).all())

    def since(self, model: str, moment: datetime) -> list[ThresholdReached]:
        """The triggers at or after `moment`, newest first."""
        return TriggerLog(self._lake, model).since(moment)

    def announce(self, trigger: ThresholdReached) -> None:
        """Publish a logged trigger. Raises BrokerUnavailable."""
        self._publisher.publish(THRESHOLD_REACHED, trigger.model, trigger, event_id=str(trigger.trigger_id))

    def fire(self, model: str, note: str) -> ThresholdReached:
        """Append a manual trigger to the log, then announce it."""
        asked = Finding(TriggerReason.MANUAL, 0.0, 0.0, note)
        log = TriggerLog(self._lake, model)
        while True:
            newest = log.newest()
            if fired := self._append(log, model, asked, newest.n + 1 if newest else 0):
                return fired

    def fire_found(self, model: str, finding: Finding, after: ThresholdReached | None) -> ThresholdReached | None:
        """Log and announce the finding as the trigger that follows `after`; None where another one came first."""
        log = TriggerLog(self._lake, model)
        newest = log.newest()
        if (newest.trigger.trigger_id if newest else None) != (after.trigger_id if after else None):
            return None
        return self._append(log, model, finding, newest.n + 1 if newest else 0)

    def _append(self, log: TriggerLog, model: str, finding: Finding, number: int) -> ThresholdReached | None:
        version, marked = mark(self._lake, model, self._partitions) or (0, None)
        trigger = ThresholdReached(
            trigger_id=trigger_id(model, number),
            model=model,
            reason=finding.reason,
            dataset_version=version,
            observed=finding.observed,
            threshold=finding.threshold,
            occurred_at=self._now(),
            note=finding.note or None,
            model_version=finding.version,
            column=finding.column,
            low=finding.low,
            high=finding.high,
            evidence_rows=finding.rows,
        )
        if not log.append(number, trigger, marked):
            return None
        self.announce(trigger)
        return trigger
