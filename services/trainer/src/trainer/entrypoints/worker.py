"""threshold-reached, one at a time."""

from collections.abc import Callable

from pydantic import ValidationError

from flywheel_schemas.events import ThresholdReached
from kafka_runtime.errors import Poison, Retryable
from kafka_runtime.record import Record
from telemetry import logging
from trainer.application.train import Request, Train
from trainer.domain.errors import NoSuchModel
from trainer.entrypoints.errors import AGAIN_LATER, retry_after_s

_LOG = logging.get("trainer")


def handler(train: Train) -> Callable[[Record], None]:
    """Handles a record: returns when its trigger has an outcome. Raises Retryable or Poison."""

    def handle(record: Record) -> None:
        try:
            trigger = ThresholdReached.parse(record.value or b"")
        except ValidationError as exc:
            raise Poison("not a threshold-reached event") from exc
        _LOG.info(
            "trigger_taken_up", model=trigger.model, trigger_id=str(trigger.trigger_id), reason=trigger.reason.value
        )
        try:
            outcome = train.handle(Request(trigger.model, describe(trigger), trigger))
        except NoSuchModel as exc:
            raise Poison("unknown model") from exc
        except Retryable:
            raise
        except AGAIN_LATER as exc:
            raise Retryable(str(exc), retry_after_s(exc)) from exc
        _LOG.info(
            "trigger_done",
            model=trigger.model,
            trigger_id=str(trigger.trigger_id),
            outcome=outcome.value if outcome else "on trial",
        )

    return handle


def describe(trigger: ThresholdReached) -> str:
    """Why a model is retrained, as people say it."""
    match trigger.reason.value:
        case "count" if not trigger.note:
            return f"{trigger.observed:g} new labelled rows (threshold {trigger.threshold:g})"
        case "manual":
            return f"asked for by hand{': ' if trigger.note else ''}{trigger.note or ''}"
        case reason:
            return trigger.note or f"{reason} at {trigger.observed:g} (threshold {trigger.threshold:g})"
