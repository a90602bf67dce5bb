"""Processes to be killed, forked from one that has imported every service, so that a start takes no seconds."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from inference.application import answer

_SERVICES = ("ingest", "inference", "stream_processor", "trainer")
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pytest", *(f"{name}.__main__" for name in _SERVICES)])
event = _CONTEXT.Event


class Service:
    """A service that runs; to its tests what a subprocess.Popen is."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, minus the number of the signal that ended it, or None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """As `returncode`."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)


def service(package: str, env: Mapping[str, str], log: Path) -> Service:
    """`python -m package` in the folder of `log`, the file that its errors are added to."""
    return serving(_main_of, package, env=env, log=log)


def serving(target: Callable[..., object], *arguments: Any, env: Mapping[str, str], log: Path) -> Service:
    """As `service`, with a function of a module, whose value is the exit code."""
    process = _CONTEXT.Process(target=_run, args=(dict(env), _serve, (log, target, arguments)), daemon=True)
    process.start()
    return Service(process)


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
    answer._random.seed()  # else all forks draw the same ids
    target(*arguments)


def _serve(log: Path, target: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.chdir(log.parent)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    sys.exit(target(*arguments))


def _main_of(package: str) -> Any:
    return import_module(f"{package}.__main__").main()
