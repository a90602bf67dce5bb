"""What was seen a moment ago is given at once, and seen anew meanwhile."""

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

from console.application.ports import Away

T = TypeVar("T")
_FRESH_S, _OLD_S = 1.5, 30.0


class Kept:
    """Looks are shared: however many pages are open, each thing is looked at by one thread at a time.

    What is fresh is not looked at again; what is old is looked at before it is given. `look` raises Away.
    """

    def __init__(self, fresh_s: float = _FRESH_S, old_s: float = _OLD_S) -> None:
        self._fresh_s = fresh_s
        self._old_s = old_s
        self._seen: dict[str, tuple[float, object]] = {}
        self._looking: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def get(self, name: str, look: Callable[[], T]) -> T:
        """What `look` gives, or gave lately under this name. Raises Away."""
        at, found = self._seen.get(name, (float("-inf"), None))
        age_s = time.monotonic() - at
        if age_s > self._old_s:
            return self._look(name, look)
        if age_s > self._fresh_s and not self._looking[name].locked():
            threading.Thread(target=self._look_again, args=(name, look), name=f"look-{name}", daemon=True).start()
        return found  # type: ignore[return-value]  # what was kept under this name is what `look` gives

    def _look(self, name: str, look: Callable[[], T]) -> T:
        with self._looking[name]:
            at, found = self._seen.get(name, (float("-inf"), None))
            if time.monotonic() - at > self._fresh_s:
                found = look()
                self._seen[name] = (time.monotonic(), found)
            return found  # type: ignore[return-value]  # as above

    def _look_again(self, name: str, look: Callable[[], T]) -> None:
        """Where it is away now, whoever asks after `old_s` is told."""
        with contextlib.suppress(Away):
            self._look(name, look)
