"""What a person decides about feedback that was kept apart. A decision is taken once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from trainer.domain.errors import NotAllowed

Verb = Literal["released", "dropped"]


@dataclass(frozen=True, slots=True)
class Decision:
    """Who let the event in again, or dropped it, when and why."""

    verb: Verb
    who: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Held:
    """One event that was kept apart: on arrival, or (`where` training) when a training set was made."""

    event_id: str
    kind: str
    reason: str
    score: float | None
    received_at: datetime
    where: Literal["arrival", "training"]
    record: str | None = None
    decision: Decision | None = None

    @property
    def status(self) -> Literal["held", "released", "dropped"]:
        """What has become of it."""
        return self.decision.verb if self.decision else "held"


def may_decide(held: Held, verb: Verb) -> None:
    """Raises NotAllowed where it was decided otherwise, or nothing is left of it. The same again is allowed."""
    if held.reason == "erased":
        raise NotAllowed(f"{held.event_id} was erased on its user's wish; there is nothing left of it")
    if held.decision and held.decision.verb != verb:
        said = held.decision
        raise NotAllowed(f"{held.event_id} was {said.verb} by {said.who} on {said.at:%Y-%m-%d}: {said.why}")
