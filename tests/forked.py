"""Processes to be killed. They are forked from one that has imported a trainer, so starting one takes no seconds."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from typing import Any

_IMPORTED = ["pytest", "polars", "trainer.wiring", "tests.integration.test_lake_exactly_once"]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(_IMPORTED)
event = _CONTEXT.Event


def start(target: Callable[..., object], *arguments: Any) -> ForkServerProcess:
    """Call `target`, a function of a module, in a process that has this one's environment as it is now."""
    process = _CONTEXT.Process(target=_run, args=(dict(os.environ), target, arguments))
    process.start()
    return process


def exit_code(target: Callable[..., object], *arguments: Any, timeout_s: float = 120.0) -> int:
    """How a call of `target` in another process ends: minus the number of the signal that killed it, else 0 or 1."""
    process = start(target, *arguments)
    process.join(timeout_s)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"{target.__name__} ran for more than {timeout_s:g} s")
    return process.exitcode


def die(*_: Any, **__: Any) -> None:
    """End this process as the kernel would that has no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """Hands everything on to `real`; a call of `method` (with arguments that fit) is the process's last."""

    def __init__(self, real: Any, method: str, fits: Callable[..., bool] = lambda *_: True) -> None:
        self._real, self._method, self._fits = real, method, fits

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name != self._method:
            return found
        return lambda *arguments: die() if self._fits(*arguments) else found(*arguments)


def _run(environment: Mapping[str, str], target: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)
