"""Whether the process makes progress, and what hinders it."""

import time
from collections.abc import Callable, Mapping


class Watch:
    """Remembers present troubles by step, and asks the readers when they last polled. Safe among threads."""

    def __init__(self, stuck_after_s: float) -> None:
        self._stuck_after_s = stuck_after_s
        self._troubles: dict[str, str] = {}
        self._polled: dict[str, Callable[[], float]] = {}
        self._ready: dict[str, Callable[[], bool]] = {}

    def reader(self, topic: str, polled_at_s: Callable[[], float], ready: Callable[[], bool]) -> None:
        """Watch the reader of `topic`; `polled_at_s` is a monotonic time."""
        self._polled[topic] = polled_at_s
        self._ready[topic] = ready

    def trouble(self, where: str) -> Callable[[str | None], None]:
        """A function that sets (or with None clears) the trouble at `where`."""

        def tell(what: str | None) -> None:
            if what is None:
                self._troubles.pop(where, None)
            else:
                self._troubles[where] = what

        return tell

    def stuck(self) -> str | None:
        """Why the process should be restarted: a reader has stopped polling. An outage is no reason."""
        for topic, polled_at_s in self._polled.items():
            silent_s = time.monotonic() - polled_at_s()
            if silent_s > self._stuck_after_s:
                return f"the reader of {topic} has not polled for {silent_s:.0f} s; restart the process"
        return None

    def troubles(self) -> str | None:
        """What flushes are waiting for, or None."""
        return "; ".join(what for _, what in sorted(self._troubles.items())) or None

    def unready(self) -> str | None:
        """Which readers have no partitions yet, or None."""
        waiting = sorted(topic for topic, ready in self._ready.items() if not ready())
        return f"waiting for partitions of {', '.join(waiting)}; is the group rebalancing?" if waiting else None

    def topics(self) -> Mapping[str, Callable[[], float]]:
        """The watched readers."""
        return self._polled
