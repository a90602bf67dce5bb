"""The admin API of bad data: what was kept apart, and what people had erased."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field

from lake.erasures import Erasure
from trainer.application.ports import Datasets
from trainer.application.quarantine import Quarantine
from trainer.domain.quarantine import Decision, Held
from trainer.entrypoints.bodies import Reason
from trainer.entrypoints.routes import Name, Operator, Reader, name, problems_of


@dataclass(frozen=True, slots=True)
class Hygiene:
    """What these routes need."""

    datasets: Datasets
    quarantine: Quarantine
    erasures: Callable[[], Sequence[Erasure]]


class Why(BaseModel):
    """The reason is kept with the action."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Reason


class DecisionShown(BaseModel):
    """Who decided, when and why."""

    verb: Literal["released", "dropped"]
    who: str
    at: datetime
    why: str


class HeldShown(BaseModel):
    """One event that was kept apart."""

    event_id: str
    status: Literal["held", "released", "dropped"]
    kind: str
    reason: str
    score: float | None = Field(description="How suspicious it is, where that was the reason; the greater the more")
    received_at: datetime
    where: Literal["arrival", "training"] = Field(
        description="arrival: it never reached the dataset; training: it is there, but no model learned from it"
    )
    decision: DecisionShown | None


class QuarantineShown(BaseModel):
    """Events that were kept apart, newest first."""

    model: str
    events: list[HeldShown]


class ErasureShown(BaseModel):
    """One erasure; it names no user."""

    erasure_id: str
    asked_at: datetime
    asked_by: str
    completed_at: datetime | None
    rows: dict[str, dict[str, int]] = Field(description="By model: rows of feedback and of predictions")
    versions: dict[str, list[str]] = Field(description="By model: versions that had learned from them, now so tagged")


class ErasuresShown(BaseModel):
    """Erasures, newest first."""

    erasures: list[ErasureShown]


def install(app: FastAPI, hygiene: Hygiene) -> None:
    """Add the routes."""

    @app.get("/v1/models/{model}/quarantine", tags=["data"], responses=problems_of(404, 503))
    def quarantine(
        model: Name,
        _: Reader,
        status: Literal["held", "released", "dropped"] | None = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    ) -> QuarantineShown:
        """What was kept apart, on arrival or at training, why, and what was decided about it."""
        hygiene.datasets.spec(model)
        return QuarantineShown(model=model, events=[_held(h) for h in hygiene.quarantine.list(model, status, limit)])

    @app.post("/v1/models/{model}/quarantine/{event_id}/release", tags=["data"], responses=problems_of(404, 409, 503))
    def release(model: Name, event_id: UUID, asked: Why, who: Operator) -> HeldShown:
        """Let an event in: from arrival it goes the way it came once more; one left out of training is learned from."""
        hygiene.datasets.spec(model)
        return _held(hygiene.quarantine.release(model, str(event_id), name(who), asked.reason))

    @app.post("/v1/models/{model}/quarantine/{event_id}/drop", tags=["data"], responses=problems_of(404, 409, 503))
    def drop(model: Name, event_id: UUID, asked: Why, who: Operator) -> HeldShown:
        """Leave an event out for good. It stays listed."""
        hygiene.datasets.spec(model)
        return _held(hygiene.quarantine.drop(model, str(event_id), name(who), asked.reason))

    @app.get("/v1/erasures", tags=["data"], responses=problems_of(503))
    def erasures(_: Reader) -> ErasuresShown:
        """What people had erased: when, how much, and which versions had learned from it."""
        return ErasuresShown(erasures=[_erasure(one) for one in hygiene.erasures()])


def _held(held: Held) -> HeldShown:
    return HeldShown(
        event_id=held.event_id,
        status=held.status,
        kind=held.kind,
        reason=held.reason,
        score=held.score,
        received_at=held.received_at,
        where=held.where,
        decision=_decision(held.decision),
    )


def _decision(decision: Decision | None) -> DecisionShown | None:
    if decision is None:
        return None
    return DecisionShown(verb=decision.verb, who=decision.who, at=decision.at, why=decision.why)


def _erasure(one: Erasure) -> ErasureShown:
    return ErasureShown(
        erasure_id=one.erasure_id,
        asked_at=one.asked_at,
        asked_by=one.asked_by,
        completed_at=one.completed_at,
        rows={model: dict(counts) for model, counts in one.rows.items()},
        versions={model: list(versions) for model, versions in one.versions.items()},
    )
