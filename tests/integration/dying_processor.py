"""A processor that dies, or stops for a while, at a boundary of its flush."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from stream_processor import wiring
from stream_processor.__main__ import run
from stream_processor.adapters import lake_tables
from stream_processor.settings import Settings
from telemetry import logging


def main(boundary: str) -> int:
    """The second call of what `boundary` names is the process's last; of `stop`, its last for now."""
    logging.configure("stream-processor")
    fuse = _Fuse()
    if boundary == "quarantine":
        lake_tables.append_absent = _then(fuse.die, lake_tables.append_absent)
    wraps = wiring.Wraps(
        tables=_burning(fuse, boundary, "append"),
        dead_letters=_burning(fuse, boundary, "publish"),
        announcements=_burning(fuse, boundary, "dataset_committed"),
    )
    return asyncio.run(run(Settings(), wraps))


class _Fuse:
    def __init__(self) -> None:
        self._calls = 0

    def die(self, how: signal.Signals = signal.SIGKILL) -> None:
        self._calls += 1
        if self._calls == 2:
            os.kill(os.getpid(), how)


class _Burning:
    """Hands everything on; a call of `method` burns the fuse."""

    def __init__(self, inner: Any, method: str, burn: Callable[[Any], Any]) -> None:
        self._inner, self._method, self._burn = inner, method, burn

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._burn(found) if name == self._method else found


def _burning(fuse: _Fuse, boundary: str, method: str) -> Callable[[Any], Any]:
    if boundary == method:
        return lambda inner: _Burning(inner, method, lambda call: _then(fuse.die, call))
    if boundary == "stop" and method == "publish":
        return lambda inner: _Burning(inner, method, lambda call: _after(lambda: fuse.die(signal.SIGSTOP), call))
    return lambda inner: inner


def _then(burn: Callable[[], None], call: Callable[..., Any]) -> Callable[..., Any]:
    def called(*arguments: Any) -> Any:
        result = call(*arguments)
        burn()
        return result

    return called


def _after(burn: Callable[[], None], call: Callable[..., Any]) -> Callable[..., Any]:
    def called(*arguments: Any) -> Any:
        burn()
        return call(*arguments)

    return called
