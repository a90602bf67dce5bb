"""Processes that are measured: waited for until they answer, and ended."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen


@contextmanager
def serving(command: list[str], env: Mapping[str, str], ready: str, log: Path) -> Iterator[int]:
    """The process id, once the address `ready` answers. Raises RuntimeError with the end of `log` if it ends before."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=dict(env), stdout=output, stderr=output)
    try:
        until(lambda: process.poll() is not None or _answers(ready))
        if process.poll() is not None:
            raise RuntimeError(f"{' '.join(command)} ended at once: {log.read_text()[-4000:]}")
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def until(condition: Callable[[], object], timeout_s: float = 180.0, *, every_s: float = 0.01) -> None:
    """Return as soon as `condition` is true. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it took more than {timeout_s:g} s")
        time.sleep(every_s)


def _answers(url: str) -> bool:
    try:
        urlopen(url, timeout=5).close()
    except HTTPError as error:
        return error.code == 404  # it serves, and has nothing there
    except (URLError, OSError):
        return False
    return True
