"""A first run of every new model in a child process: a file that crashes LightGBM takes only the child with it.

The child (`python -m inference.adapters.trial`) reads a file name a line, and answers `ok` or what is wrong.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from inference.adapters.lightgbm_native import NativeBooster
from inference.application.ports import Booster, ModelRefused

_NICE = 10  # whoever waits for an answer goes first
_ODD_VALUES = (np.nan, 0.0, -1.0, 1e300)


class TrialRun:
    """Opens boosters that a child process has survived. One trial at a time."""

    def __init__(self, timeout_s: float = 60.0) -> None:
        self._timeout_s = timeout_s
        self._child: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def open(self, model_file: Path) -> Booster:
        """Raises ModelRefused when the child could not read the file or answer rows, died of it, or took too long."""
        with self._lock:
            verdict = self._ask(str(model_file.resolve()))
        if verdict != "ok":
            raise ModelRefused("crashed", verdict)
        return NativeBooster(model_file)

    def close(self) -> None:
        """Let the child go."""
        with self._lock:
            if self._child is not None:
                _end(self._child)
            self._child = None

    def _ask(self, name: str) -> str:
        child = self._child
        if child is None or child.poll() is not None:
            child = self._child = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        # Ending the child is what ends the wait for its answer.
        too_long = threading.Timer(self._timeout_s, child.kill)
        too_long.start()
        try:
            assert child.stdin is not None and child.stdout is not None  # noqa: S101 - both are pipes, see above
            child.stdin.write(f"{name}\n")
            child.stdin.flush()
            verdict = child.stdout.readline().strip()
        except BrokenPipeError:
            verdict = ""
        finally:
            too_long.cancel()
        if verdict == "ok":
            return verdict
        # Even where LightGBM reports an error, what it leaves behind may end the process at the next model.
        self._child = None
        ended = _end(child)
        return verdict or f"a trial process that loaded it died ({ended})"


def _end(child: "subprocess.Popen[str]") -> str:
    if child.stdin:
        child.stdin.close()
    try:
        code = child.wait(2.0)
    except subprocess.TimeoutExpired:
        child.kill()
        code = child.wait()
    if child.stdout:
        child.stdout.close()
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _try(name: str) -> str:
    try:
        booster = NativeBooster(Path(name))
        width = len(booster.feature_names)
        for value in _ODD_VALUES:
            booster.predict_one([value] * width)
        booster.contributions(np.zeros((2, width)))
    except Exception as exc:
        return f"{exc}".replace("\n", " ") or type(exc).__name__
    return "ok"


def _serve() -> None:
    os.nice(_NICE)
    for line in sys.stdin:
        sys.stdout.write(f"{_try(line.rstrip())}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
