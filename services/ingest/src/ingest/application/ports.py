"""What the use cases need of the world."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from ingest.domain.models import KnownModel


class Models(Protocol):
    """The models that feedback can be about."""

    def get(self, name: str) -> KnownModel | None:
        """The model, or None. Asks nobody: answers from what is known."""

    def names(self) -> list[str]:
        """All known models, sorted."""


class Accepted(NamedTuple):
    """Feedback that fits: its id, the model it is about, and the bytes to publish."""

    event_id: str
    model: str
    value: bytes


class NotPublished(Exception):
    """Kafka has not acknowledged the feedback. `retry_after_s` is when to send it again."""

    retry_after_s = 1


class BrokerAway(NotPublished):
    """Kafka is known to be away: nothing was sent, so nothing was stored."""


class Unconfirmed(NotPublished):
    """Nothing came back in time; Kafka may or may not have it. Sending it again under its event_id is safe."""


class Crowded(NotPublished):
    """More feedback waits for Kafka than fits in memory; this one was not sent."""


Outcome = Callable[[NotPublished | None], None]


class Publishing(Protocol):
    """Sends accepted feedback, and waits until Kafka has it."""

    def send(self, event: Accepted, received_at: datetime, traceparent: str, outcome: Outcome) -> None:
        """Send the event; `outcome` is called once when all replicas have it, or why not. Raises NotPublished."""

    def publish(self, event: Accepted, received_at: datetime, traceparent: str) -> Awaitable[None]:
        """Send the event; what is returned is done when all replicas have it. Both may raise NotPublished."""

    async def publish_all(
        self, events: Sequence[Accepted], received_at: datetime, traceparent: str
    ) -> Mapping[str, NotPublished]:
        """Send all, and return when nothing is open any more: why the events of these ids were not published."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """An event, somewhere on its way. `dataset_version` is the one that first held it, where that is known."""

    event_id: str
    model: str
    status: Literal["received", "stored", "quarantined", "dead_lettered", "erased"]
    received_at: datetime
    dataset_version: int | None = None
    reason: str | None = None


class SourceAway(Exception):
    """A source cannot be asked now. The text says which, and what to do."""


class EventLog(Protocol):
    """The topics, as far as the stream processor has not emptied them. Methods raise SourceAway."""

    def processed_up_to(self, event_id: str) -> int:
        """The offset before which everything of the event's partition has been processed."""

    def waiting(self, event_id: str, from_offset: int) -> Sighting | None:
        """The event, if it lies in its partition at `from_offset` or later."""

    def dead_lettered(self, event_id: str) -> Sighting | None:
        """The event, if it could not be processed."""


class StoredEvents(Protocol):
    """The lake. Methods raise SourceAway."""

    def find(self, event_id: str, models: Sequence[str]) -> Sighting | None:
        """The event in one of the models' datasets or quarantines."""

    def trained_into(self, event: Sighting) -> list[str]:
        """Versions of the event's model whose training set holds it, oldest first."""


class Erasures(Protocol):
    """Where wishes to have feedback erased are kept. Raises SourceAway."""

    def ask(self, user_hash: str, now: datetime, asked_by: str) -> str:
        """Lay the tombstone, and give the erasure's id."""


class Champions(Protocol):
    """Which version serves."""

    def of(self, model: str) -> str | None:
        """The version that serves `model`, or None where none is known to."""
