"""What the console needs from outside."""

from typing import Protocol

from console.domain.overview import Readiness, ServedModel


class Services(Protocol):
    """The other services, as far as they speak of themselves."""

    async def readiness(self) -> tuple[Readiness, ...]:
        """What each service says of itself, in the order of the flow. Never raises."""
        ...


class Models(Protocol):
    """The models that inference knows."""

    async def served(self) -> tuple[ServedModel, ...]:
        """Every model with its versions; none while inference does not answer."""
        ...
