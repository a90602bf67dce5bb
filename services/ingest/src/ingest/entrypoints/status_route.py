"""GET /v1/feedback/{event_id}: where one piece of feedback is, and what it has taught."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from http_api.problems import Problem, ProblemError
from ingest.application.ports import SourceAway
from ingest.application.whereabouts import EventStatus, Whereabouts
from ingest.entrypoints import statuses
from telemetry import logging

PATH = "/v1/feedback/{event_id}"
log = logging.get(__name__)


class EventStatusBody(BaseModel):
    """What became of one piece of feedback."""

    model_config = ConfigDict(protected_namespaces=())

    event_id: str
    model: str
    status: Literal["received", "stored", "quarantined", "dead_lettered", "erased"] = Field(
        description="received: acknowledged, not yet processed; stored: in the dataset; quarantined: kept apart, see"
        " reason; dead_lettered: could not be processed, see reason; erased: removed on its user's wish"
    )
    received_at: datetime
    dataset_version: int | None = Field(None, description="The dataset's version that first held it")
    reason: str | None = None
    trained_into: list[str] = Field(description="Model versions whose training set holds it, oldest first")
    serving: bool = Field(description="Whether one of them serves now")


def status_of(
    whereabouts: Whereabouts, look_for_models: Callable[[], Awaitable[None]]
) -> Callable[[UUID], Awaitable[EventStatusBody]]:
    """The route's function. `look_for_models` reads the specs anew, for models that were added this moment."""

    async def feedback_status(event_id: UUID) -> EventStatusBody:
        """Where one piece of feedback is: received, stored (in which dataset version), quarantined or dead-lettered,
        and which model versions were trained on it."""
        try:
            found = await asyncio.to_thread(whereabouts.find, str(event_id))
            if found is None:
                await look_for_models()
                found = await asyncio.to_thread(whereabouts.find, str(event_id))
        except SourceAway as away:
            log.warning("status_unknown", reason=str(away))
            raise ProblemError(statuses.problem_of(away)) from away
        if found is None:
            raise ProblemError(not_found(str(event_id)))
        return _body(found)

    return feedback_status


def not_found(event_id: str) -> Problem:
    """The answer for an id that is nowhere."""
    return Problem(404, "Not Found", f"There is no feedback with the event_id {event_id}.")


def _body(found: EventStatus) -> EventStatusBody:
    event = found.event
    return EventStatusBody(
        event_id=event.event_id,
        model=event.model,
        status=event.status,
        received_at=event.received_at,
        dataset_version=event.dataset_version,
        reason=event.reason,
        trained_into=found.trained_into,
        serving=found.serving,
    )
