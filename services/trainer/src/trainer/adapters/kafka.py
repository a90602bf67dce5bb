"""model-updated, the audit log and threshold-reached."""

from collections.abc import Callable
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from pydantic import ValidationError

from flywheel_schemas.events import ModelUpdated, RolloutAction, ThresholdReached, TriggerReason
from flywheel_schemas.topics import MODEL_UPDATED, ROLLOUT_AUDIT_LOG, THRESHOLD_REACHED
from kafka_runtime import tail
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings
from lake import Lake
from lake.triggers import TriggerLog, trigger_id
from telemetry import logging

_LOG = logging.get("trainer")


class KafkaAnnouncements:
    """Publishes the present state of a model, and reads what was published last."""

    def __init__(self, settings: KafkaSettings, publisher: Publisher) -> None:
        self._settings = settings
        self._publisher = publisher

    def publish(self, event: ModelUpdated) -> None:
        """Returns when all replicas have it. Raises BrokerUnavailable."""
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

    def __init__(self, lake: Lake, publisher: Publisher, now: Callable[[], datetime]) -> None:
        self._lake = lake
        self._publisher = publisher
        self._now = now

    def last(self, model: str) -> ThresholdReached | None:
        """The newest trigger, or None."""
        return TriggerLog(self._lake, model).last()

    def logged(self, model: str, trigger_id: str) -> bool:
        """Whether the log holds this trigger."""
        return any(str(trigger.trigger_id) == trigger_id for trigger in TriggerLog(self._lake, model).all())

    def fire(self, model: str, note: str) -> ThresholdReached:
        """Append a manual trigger to the log, then announce it."""
        log = TriggerLog(self._lake, model)
        table = self._lake.table(model, "feedback")
        version = int(table.at(None).version()) if table.exists() else 0
        while True:
            newest = log.newest()
            number = newest.n + 1 if newest else 0
            trigger = ThresholdReached(
                trigger_id=trigger_id(model, number),
                model=model,
                reason=TriggerReason.MANUAL,
                dataset_version=version,
                observed=0.0,
                threshold=0.0,
                occurred_at=self._now(),
                note=note or None,
            )
            if log.append(number, trigger):
                break
        self._publisher.publish(THRESHOLD_REACHED, model, trigger, event_id=str(trigger.trigger_id))
        return trigger
