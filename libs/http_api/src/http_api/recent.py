"""What takes long to see, seen a moment ago: for routes and pages that show it."""

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
KEPT = 256
QUICK_S = 0.2


@dataclass(frozen=True, slots=True)
class _Made(Generic[T]):
    value: T
    at_s: float
    took_s: float


class Recent(Generic[T]):
    """Keeps each result for `times` as long as it took to make.

    After that an older one is given at once, and a new one made meanwhile; one that is quick to make, and one older
    than `old_s`, is made anew before it is given. Safe to use from several threads; one thread makes a result.
    """

    def __init__(
        self, *, times: float = 10.0, old_s: float = 600.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._times = times
        self._old_s = old_s
        self._clock = clock
        self._made: dict[Hashable, _Made[T]] = {}
        self._making: dict[Hashable, threading.Lock] = defaultdict(threading.Lock)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result under `key`. Raises what `make` raises, where it is made before it is given."""
        found = self._made.get(key)
        if found is None:
            return self._make(key, make, found)
        age_s = self._clock() - found.at_s
        is_due = age_s > found.took_s * self._times
        if age_s > self._old_s or (is_due and found.took_s < QUICK_S):
            return self._make(key, make, found)
        if is_due and not self._making[key].locked():
            threading.Thread(target=self._renew, args=(key, make, found), name="recent", daemon=True).start()
        return found.value

    def _make(self, key: Hashable, make: Callable[[], T], before: _Made[T] | None) -> T:
        with self._making[key]:
            newer = self._made.get(key)
            if newer is not None and newer is not before:
                return newer.value
            began = self._clock()
            value = make()
            self._made[key] = _Made(value, self._clock(), self._clock() - began)
        for oldest in list(self._made)[:-KEPT]:  # a copy: other threads add to it
            self._made.pop(oldest, None)
            self._making.pop(oldest, None)
        return value

    def _renew(self, key: Hashable, make: Callable[[], T], before: _Made[T]) -> None:
        """Where it cannot be made now, whoever asks after `old_s` is told why."""
        with contextlib.suppress(Exception):
            self._make(key, make, before)
