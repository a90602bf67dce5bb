"""Values that are looked at in the background, so that no page waits for them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from console.application.ports import Away
from console.domain.overview import Readiness

T = TypeVar("T")


class Sampled(Generic[T]):
    """The last value of `look`, and what was raised instead of one."""

    def __init__(self, look: Callable[[], Awaitable[T]], every_s: float) -> None:
        self._look = look
        self._every_s = every_s
        self._looked = asyncio.Event()
        self._value: T | None = None
        self._trouble: Away | None = None

    async def run(self) -> None:
        """Looks again and again. Never returns; cancel it."""
        while True:
            try:
                self._value, self._trouble = await self._look(), None
            except Away as away:
                self._trouble = away
            self._looked.set()
            await asyncio.sleep(self._every_s)

    async def __call__(self) -> T:
        """The last value; waits for the first. Raises Away while looking fails."""
        await self._looked.wait()
        if self._trouble is not None:
            raise self._trouble
        return self._value  # type: ignore[return-value]  # set together with `_looked`


@dataclass(frozen=True, slots=True)
class SampledLoop:
    """What services say of themselves, and how far the stream processor is behind."""

    readiness: Sampled[tuple[Readiness, ...]]
    lag: Sampled[Mapping[str, int]]

    async def run(self) -> None:
        """Looks at both. Never returns; cancel it."""
        await asyncio.gather(self.readiness.run(), self.lag.run())
