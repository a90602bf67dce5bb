"""Ways to die by SIGKILL, at a moment that a test chooses."""

import os
import signal
from collections.abc import Callable
from typing import Any


def die(*_: Any, **__: Any) -> None:
    """End this process as the kernel does where memory has run out."""
    os.kill(os.getpid(), signal.SIGKILL)


class Fuse:
    """Kills this process (or sends it another signal) when it is burnt for the nth time; of 0, never."""

    def __init__(self, nth: int, signal_number: signal.Signals = signal.SIGKILL) -> None:
        self._left = nth
        self._signal = signal_number

    def burn(self) -> None:
        """May not return."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._signal)


class Dying:
    """Hands everything on to `real`; a call of `method` (with arguments that fit) is the process's last."""

    def __init__(self, real: Any, method: str, fits: Callable[..., bool] = lambda *_: True) -> None:
        self._real, self._method, self._fits = real, method, fits

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name != self._method:
            return found
        return lambda *arguments: die() if self._fits(*arguments) else found(*arguments)
