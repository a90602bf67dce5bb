"""What the console needs from outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from console.domain.overview import Readiness
from console.domain.rates import Sample
from flywheel_schemas.spec import ModelSpec


class NotThere(Exception):
    """There is no such thing, or this service does not offer it."""


class Away(Exception):
    """What was asked does not answer. The text says what, for a person."""


class NotAllowed(Exception):
    """The service refused. The text is its own."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One record of a topic: its place, its bytes, and for a dead letter where it came from and why."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes
    at: datetime
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        """The bytes as text, whatever they are."""
        return self.value.decode("utf-8", "backslashreplace")


class Services(Protocol):
    """The other services. `key` is the viewer's own, so each service decides, and logs, as for anybody."""

    async def get(self, service: str, path: str, key: str | None) -> Any:
        """The JSON at `path`. Raises NotThere, NotAllowed or Away."""
        ...

    async def post(self, service: str, path: str, body: Mapping[str, Any], key: str | None) -> Any:
        """What the service answers. Raises NotThere, NotAllowed or Away."""
        ...

    async def delete(self, service: str, path: str, key: str | None) -> Any:
        """What the service answers. Raises NotThere, NotAllowed or Away."""
        ...


class Loop(Protocol):
    """How the loop is, as last looked at a moment ago."""

    async def readiness(self) -> tuple[Readiness, ...]:
        """What each service says of itself, in the order of the flow. Never raises."""
        ...

    async def lag(self) -> Mapping[str, int]:
        """Per topic, how many records the stream processor has not come to. Raises Away."""
        ...


class Meter(Protocol):
    """The services' counters over the last minutes."""

    def samples(self) -> Sequence[Sample]:
        """Oldest first."""
        ...


class Topics(Protocol):
    """Kafka. Methods block; each raises Away."""

    def recent_feedback(self) -> Sequence[Recorded]:
        """The latest feedback events, newest first."""
        ...

    def dead_letters(self) -> Sequence[Recorded]:
        """The latest dead letters, newest first."""
        ...

    def replay(self, letter: Recorded, value: bytes, who: str) -> None:
        """Puts `value` where the letter came from, and says who did it. Raises NotAllowed for what is no event."""
        ...


class Tables(Protocol):
    """The lake. Methods block; each raises Away."""

    def specs(self) -> Mapping[str, ModelSpec]:
        """Every model's spec."""
        ...

    def versions(self, model: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """The dataset's newest versions: version, at, operation, rows added, who and why where a person asked."""
        ...

    def summary(self, model: str) -> Sequence[Mapping[str, Any]]:
        """Rows of the dataset by day, source, kind and label."""
        ...
