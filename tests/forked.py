"""Processes to be killed. They are forked from one that has imported a trainer, so starting one takes no seconds."""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pytest", "trainer.wiring"])
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


def _run(environment: Mapping[str, str], target: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)
