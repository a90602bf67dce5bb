"""The other services, remembered: a page shows at once what was answered lately, and its live stream what is new."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any

from console.application.ports import Away, NotAllowed, NotThere, Services

_FRESH_S, _OLD_S, _KEPT = 1.0, 30.0, 500
_Asked = tuple[str, str, str | None]


class Remembering:
    """Answers are kept per key, for half a minute, and until somebody acts here. One that is not fresh is asked for
    anew while the old one is given.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._answers: dict[_Asked, tuple[float, Any]] = {}
        self._asking: dict[_Asked, asyncio.Task[Any]] = {}

    async def get(self, service: str, path: str, key: str | None) -> Any:
        """The JSON at `path`. Raises NotThere, NotAllowed or Away."""
        asked = (service, path, key)
        at, answer = self._answers.get(asked, (float("-inf"), None))
        age_s = time.monotonic() - at
        if age_s <= _FRESH_S:
            return answer
        asking = self._asking.get(asked)
        if asking is None:
            asking = self._asking[asked] = asyncio.create_task(self._ask(asked))
            asking.add_done_callback(_heard)
        return answer if age_s <= _OLD_S else await asyncio.shield(asking)

    async def post(self, service: str, path: str, body: Mapping[str, Any], key: str | None) -> Any:
        """What the service answers. Raises NotThere, NotAllowed or Away."""
        with self._forgetting():
            return await self._services.post(service, path, body, key)

    async def delete(self, service: str, path: str, key: str | None) -> Any:
        """What the service answers. Raises NotThere, NotAllowed or Away."""
        with self._forgetting():
            return await self._services.delete(service, path, key)

    async def _ask(self, asked: _Asked) -> Any:
        try:
            answer = await self._services.get(*asked)
        except (NotThere, NotAllowed, Away):
            self._answers.pop(asked, None)
            raise
        else:
            if self._asking.get(asked) is asyncio.current_task():  # else somebody acted meanwhile
                self._answers[asked] = (time.monotonic(), answer)
            while len(self._answers) > _KEPT:
                self._answers.pop(next(iter(self._answers)))
            return answer
        finally:
            if self._asking.get(asked) is asyncio.current_task():
                del self._asking[asked]

    @contextlib.contextmanager
    def _forgetting(self) -> Any:
        """What was asked for before an action says nothing of what follows from it."""
        try:
            yield
        finally:
            self._answers.clear()
            self._asking.clear()


def _heard(asking: asyncio.Task[Any]) -> None:
    """Nobody may have waited for what went wrong; whoever asks next is told."""
    if not asking.cancelled():
        asking.exception()
