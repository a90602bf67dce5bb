"""A processor that dies, or stops for a while, at a boundary of its flush."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from stream_processor import wiring
from stream_processor.__main__ import run
from stream_processor.adapters import lake_tables
from stream_processor.settings import Settings
from telemetry import logging
from tests.dying import Fuse

Call = Callable[..., Any]


def main(boundary: str) -> int:
    """The second call of what `boundary` names is the process's last; `stop` stops it before its dead letters."""
    logging.configure("stream-processor")
    if boundary == "stop":
        wraps = wiring.Wraps(dead_letters=_wrapped("publish", _stopping(Fuse(2, signal.SIGSTOP))))
    elif boundary == "quarantine":
        wraps = wiring.Wraps()
        lake_tables.append_absent = _dying(Fuse(2))(lake_tables.append_absent)
    else:
        dying = _wrapped(boundary, _dying(Fuse(2)))
        port = {"append": "tables", "publish": "dead_letters", "dataset_committed": "announcements"}[boundary]
        wraps = wiring.Wraps(**{port: dying})
    return asyncio.run(run(Settings(), wraps))


def _dying(fuse: Fuse) -> Callable[[Call], Call]:
    """Burns the fuse once the call has returned."""

    def around(call: Call) -> Call:
        def called(*arguments: Any) -> Any:
            result = call(*arguments)
            fuse.burn()
            return result

        return called

    return around


def _stopping(fuse: Fuse) -> Callable[[Call], Call]:
    """Burns the fuse before the call."""

    def around(call: Call) -> Call:
        def called(*arguments: Any) -> Any:
            fuse.burn()
            return call(*arguments)

        return called

    return around


class _Wrapped:
    """Hands everything on, `method` through `around`."""

    def __init__(self, inner: Any, method: str, around: Callable[[Call], Call]) -> None:
        self._inner, self._method, self._around = inner, method, around

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._around(found) if name == self._method else found


def _wrapped(method: str, around: Callable[[Call], Call]) -> Callable[[Any], Any]:
    return lambda inner: _Wrapped(inner, method, around)
