"""What was sent, and what was acknowledged: the client's side of the account."""

import random
import threading


class Ledger:
    """Ids by what became of sending them. Safe to share among threads.

    `acknowledged` ids must be found exactly once. `uncertain` ones got no answer: they may be found once, or not.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._acknowledged: dict[str, None] = {}
        self._uncertain: set[str] = set()
        self._order: list[str] = []
        self.refused = 0
        self.duplicates = 0

    def about_to_send(self, *ids: str) -> None:
        """Note ids before they leave: whatever happens, they may arrive."""
        with self._lock:
            self._uncertain.update(id for id in ids if id not in self._acknowledged)

    def acknowledge(self, *ids: str) -> None:
        """The receiver promised to keep them. Again for an id that is known is a duplicate."""
        with self._lock:
            for id in ids:
                if id in self._acknowledged:
                    self.duplicates += 1
                else:
                    self._acknowledged[id] = None
                    self._order.append(id)
                self._uncertain.discard(id)

    def refuse(self, *ids: str) -> None:
        """The receiver said that it did not keep them, and why."""
        with self._lock:
            self.refused += len(ids)
            self._uncertain.difference_update(ids)

    def earlier(self, rng: random.Random) -> str | None:
        """An id acknowledged at any time before, to be sent again; None when there is none."""
        with self._lock:
            return rng.choice(self._order) if self._order else None

    def acknowledged(self) -> set[str]:
        """A copy of the acknowledged ids."""
        with self._lock:
            return set(self._acknowledged)

    def sent(self) -> set[str]:
        """Acknowledged and uncertain ids."""
        with self._lock:
            return set(self._acknowledged) | self._uncertain
