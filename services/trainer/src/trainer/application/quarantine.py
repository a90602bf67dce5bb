"""Looking at feedback that was kept apart, letting it in again, or dropping it for good."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal, Protocol

from trainer.domain.errors import NoSuchEvent, NotAllowed
from trainer.domain.quarantine import Decision, Held, Verb, may_decide

Status = Literal["held", "released", "dropped"]


class HeldEvents(Protocol):
    """The quarantine, and what was decided about it."""

    def all(self, model: str) -> list[Held]:
        """Every event that is or was kept apart, newest first."""

    def one(self, model: str, event_id: str) -> Held | None:
        """The event, or None where it never was kept apart."""

    def decide(self, model: str, event_id: str, decision: Decision) -> Decision:
        """Keep the decision unless there is one; gives the one that stands."""

    def misfit(self, model: str, held: Held) -> str | None:
        """Why the model's spec still refuses the event's record, or None."""

    def resend(self, model: str, held: Held, who: str) -> None:
        """Send the record once more the way it came, marked as released. Raises what Kafka raises."""


class Quarantine:
    """Every action is kept with who, when and why, before it takes effect; doing it again is safe."""

    def __init__(self, events: HeldEvents, now: Callable[[], datetime]) -> None:
        self._events = events
        self._now = now

    def list(self, model: str, status: Status | None, limit: int) -> Sequence[Held]:
        """At most `limit` events, newest first."""
        return [held for held in self._events.all(model) if status in {None, held.status}][:limit]

    def release(self, model: str, event_id: str, who: str, why: str) -> Held:
        """Let the event in again. It is stored once, however often this is called.

        Raises NoSuchEvent, and NotAllowed where it was dropped, is erased, or still does not fit the spec.
        """
        held = self._found(model, event_id)
        may_decide(held, "released")
        if held.where == "arrival" and (misfit := self._events.misfit(model, held)):
            raise NotAllowed(f"{event_id} does not fit the spec: {misfit}; change the spec, then release it")
        decided = self._decide(model, held, "released", who, why)
        if held.where == "arrival":
            self._events.resend(model, held, who)
        return decided

    def drop(self, model: str, event_id: str, who: str, why: str) -> Held:
        """Leave the event out for good. Raises NoSuchEvent, and NotAllowed where it was released or is erased."""
        held = self._found(model, event_id)
        may_decide(held, "dropped")
        return self._decide(model, held, "dropped", who, why)

    def _found(self, model: str, event_id: str) -> Held:
        held = self._events.one(model, event_id)
        if held is None:
            raise NoSuchEvent(model, event_id)
        return held

    def _decide(self, model: str, held: Held, verb: Verb, who: str, why: str) -> Held:
        standing = self._events.decide(model, held.event_id, Decision(verb, who, self._now(), why))
        decided = replace(held, decision=standing)
        may_decide(decided, verb)
        return decided
