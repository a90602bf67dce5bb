"""The names of the models, as far as they can be learned."""

from collections.abc import Awaitable, Callable, Sequence

from lake.errors import LakeError
from telemetry import logging

log = logging.get(__name__)


class RememberedNames:
    """Names from `read`; while the lake is away, those that it gave last."""

    def __init__(self, read: Callable[[], Awaitable[Sequence[str]]]) -> None:
        self._read = read
        self._last: Sequence[str] = ()

    async def __call__(self) -> Sequence[str]:
        """The names, newest knowledge first. Never raises for a lake that is away."""
        try:
            self._last = await self._read()
        except LakeError as error:
            log.warning("model_names_unavailable", reason=str(error))
        return self._last
