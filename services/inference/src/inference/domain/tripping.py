"""When a replica stops trying a challenger whose answers fail, before anybody tells it to."""

from collections import deque

WINDOW = 200
LEAST_FAILURES = 5


class Fuse:
    """Blows once, for good: at `LEAST_FAILURES` failures that are more than `limit` of the last `WINDOW` requests."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._last: deque[bool] = deque(maxlen=WINDOW)
        self._failures = 0
        self.blown: str | None = None

    def note(self, failed: bool) -> bool:
        """Count one request; True when it is this one that blows the fuse."""
        if len(self._last) == WINDOW:
            self._failures -= self._last[0]
        self._last.append(failed)
        self._failures += failed
        if self.blown or not failed or self._failures < LEAST_FAILURES:
            return False
        if self._failures <= self._limit * len(self._last):
            return False
        self.blown = (
            f"{self._failures} of the last {len(self._last)} requests failed (limit {self._limit:g}); "
            "the champion answers instead"
        )
        return True
