"""The owner of a model's count trigger: counts what is new, and fires each crossing once."""

from datetime import datetime

from flywheel_schemas.events import ThresholdReached, TriggerReason
from lake.triggers import trigger_id
from stream_processor.application.ports import Announcements, Specs, Triggers
from stream_processor.domain.thresholds import Crossing, HeldBack, crossing, may_have_crossed
from telemetry import logging

_LOG = logging.get(__name__)


class ThresholdOwner:
    """Evaluates the count trigger of the models that this process owns. One call at a time per model."""

    def __init__(self, specs: Specs, triggers: Triggers, announcements: Announcements) -> None:
        self._specs = specs
        self._triggers = triggers
        self._announcements = announcements
        self._waiting: dict[str, str] = {}

    def evaluate(self, model: str, now: datetime) -> ThresholdReached | None:
        """Announce the crossing that the model's dataset has reached, if any; what was announced.

        The trigger is written to the lake first and published after. Whoever loses the race to write it leaves
        publishing to the winner. Raises retryable lake and Kafka errors; evaluating again is harmless.
        """
        spec = self._specs.current().get(model)
        marked = self._triggers.mark(model) if spec and spec.retrain.feedback_count else None
        if spec is None or marked is None:
            return None
        version, mark = marked
        last = self._triggers.last(model)
        if not may_have_crossed(mark.labelled_rows, last, spec.retrain.feedback_count):
            return None
        found = crossing(self._triggers.new_feedback(spec, version), last, spec.retrain, now)
        self._tell_of_waiting(model, found)
        if not isinstance(found, Crossing):
            return None
        event = _event(model, version, found, now)
        if not self._triggers.record(event, found.number, mark):
            return None
        _LOG.info("threshold_reached", model=model, trigger_id=str(event.trigger_id), observed=found.observed)
        self._announcements.threshold_reached(event)
        return event

    def announce_again(self, model: str) -> None:
        """Publish the newest trigger once more: who wrote it may have died before it was published."""
        if newest := self._triggers.newest(model):
            self._announcements.threshold_reached(newest)

    def _tell_of_waiting(self, model: str, found: Crossing | HeldBack | None) -> None:
        why = found.why if isinstance(found, HeldBack) else ""
        if why and self._waiting.get(model) != why:
            _LOG.info("threshold_waits", model=model, reason=why)
        self._waiting[model] = why


def _event(model: str, version: int, found: Crossing, now: datetime) -> ThresholdReached:
    return ThresholdReached(
        trigger_id=trigger_id(model, found.number),
        model=model,
        reason=TriggerReason.COUNT,
        dataset_version=version,
        observed=float(found.observed),
        threshold=float(found.threshold),
        occurred_at=now,
        note=found.note,
    )
