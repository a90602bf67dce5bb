"""Which event ids were seen within the window: 8 bytes an id, exact for all practical purposes."""

from dataclasses import dataclass, field

import numpy as np

_SMALLEST_RUN = 4096
Keys = np.ndarray  # of uint64


def keys_of(ids: np.ndarray, secret: tuple[int, int]) -> Keys:
    """64-bit keys of UUIDs, given as uint64 of shape (n, 2).

    A mixing chain over both halves with secret constants: for one half fixed it is a bijection of the other, so
    ids that share a half never collide, and nobody can choose ids that do. Among five million ids a new one
    meets a foreign key with a chance of 3e-13.
    """
    mixed = _mix(ids[:, 0] ^ np.uint64(secret[0]))
    return _mix((mixed ^ ids[:, 1]) + np.uint64(secret[1]))


def _mix(x: Keys) -> Keys:
    # The finalizer of MurmurHash3 (Appleby, public domain): every input bit moves every output bit.
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return np.asarray(x ^ (x >> np.uint64(33)))


@dataclass(slots=True)
class _Runs:
    """Sorted runs of keys, merged so that their sizes fall geometrically: few to search, cheap to grow."""

    runs: list[Keys] = field(default_factory=list)

    def contains(self, keys: Keys) -> np.ndarray:
        found = np.zeros(len(keys), dtype=bool)
        for run in self.runs:
            at = np.searchsorted(run, keys)
            at[at == len(run)] = 0
            found |= run[at] == keys
        return found

    def add(self, keys: Keys) -> None:
        if not len(keys):
            return
        run = keys
        while self.runs and len(self.runs[-1]) < max(2 * len(run), _SMALLEST_RUN):
            run = np.concatenate([self.runs.pop(), run])
            run.sort(kind="stable")
        self.runs.append(run)

    def __len__(self) -> int:
        return sum(len(run) for run in self.runs)


class SeenIds:
    """The ids of one partition over a window, in two generations: one is remembered for one to two windows."""

    def __init__(self, window_s: float, now_s: float) -> None:
        self._window_s = window_s
        self._since_s = now_s
        self._young = _Runs()
        self._old = _Runs()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def load(self, keys: Keys) -> None:
        """Remember keys that the lake already holds, all younger than the window."""
        # np.unique without an index goes through a hash table, ten times as slow as sorting.
        ordered = np.sort(keys)
        self._old.add(ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered)

    def add_new(self, keys: Keys, now_s: float) -> np.ndarray:
        """Remember `keys`; True where one is seen for the first time (of equal ones in `keys`, at the first)."""
        self._rotate(now_s)
        distinct, first = np.unique(keys, return_index=True)
        fresh = ~(self._young.contains(distinct) | self._old.contains(distinct))
        self._young.add(distinct[fresh])
        new = np.zeros(len(keys), dtype=bool)
        new[first[fresh]] = True
        return new

    def _rotate(self, now_s: float) -> None:
        if now_s - self._since_s >= self._window_s:
            self._old, self._young, self._since_s = self._young, _Runs(), now_s
