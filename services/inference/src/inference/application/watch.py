"""How one challenger does in this replica: counted as it answers, told every second."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np

from flywheel_schemas.events import ChallengerHealth
from inference.domain.tripping import Fuse

LATENCIES_KEPT = 1000
_FEW = 20


class Watch:
    """Counts of one challenger since it was loaded. Safe to use from several threads; counting costs microseconds."""

    def __init__(self, model: str, version: str, error_rate_limit: float, since: datetime) -> None:
        self.model, self.version = model, version
        self.since = since
        self.on_trip: Callable[[], None] = lambda: None
        self.problem: str | None = None
        self.loaded = True
        self.retrying = False
        self._fuse = Fuse(error_rate_limit)
        self._requests = self._failed = 0
        self._own: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._champions: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._slices: dict[str, list[int]] = {}
        self._shadowed = self._disagreed = 0
        self._lock = threading.Lock()

    @property
    def may_answer(self) -> bool:
        """Whether its answers have not failed too often."""
        return self.problem is None

    def answered(self, seconds: float) -> None:
        """The challenger answered a request."""
        with self._lock:
            self._requests += 1
            self._own.append(seconds)
            self._fuse.note(failed=False)

    def champion_answered(self, seconds: float) -> None:
        """The champion answered a request, beside which the challenger's are judged."""
        self._champions.append(seconds)

    def failed(self) -> None:
        """The challenger could not answer a request."""
        with self._lock:
            self._requests += 1
            self._failed += 1
            blew = self._fuse.note(failed=True)
            if blew:
                self.problem = self._fuse.blown
        if blew:
            self.on_trip()

    def compared(
        self, champions: Sequence[str | float], own: Sequence[str | float], slices: Sequence[Sequence[str]]
    ) -> None:
        """Answers given aside, beside the champion's to the same rows; `slices` names each row's groups."""
        with self._lock:
            for theirs, mine, groups in zip(champions, own, slices, strict=True):
                differs = theirs != mine
                self._shadowed += 1
                self._disagreed += differs
                if differs and isinstance(theirs, str):
                    self._pairs[theirs, str(mine)] += 1
                for group in groups:
                    counts = self._slices.setdefault(group, [0, 0])
                    counts[0] += 1
                    counts[1] += differs

    def tell(self, champion: str, replica: str, now: datetime) -> ChallengerHealth:
        """What there is to tell at `now`."""
        with self._lock:
            disagreement: dict[str, dict[str, int]] = {}
            for (theirs, mine), count in self._pairs.items():
                disagreement.setdefault(theirs, {})[mine] = count
            return ChallengerHealth(
                model=self.model,
                model_version=self.version,
                champion=champion,
                replica=replica,
                since=self.since,
                occurred_at=now,
                loaded=self.loaded,
                problem=None if self.retrying else self.problem,
                requests=self._requests,
                failed=self._failed,
                p99_ms=_p99_ms(list(self._own)),
                champion_p99_ms=_p99_ms(list(self._champions)),
                shadowed=self._shadowed,
                disagreed=self._disagreed,
                disagreement=disagreement,
                slices={group: list(counts) for group, counts in self._slices.items()},
            )


def refused(model: str, version: str, problem: str, since: datetime, *, retrying: bool = False) -> Watch:
    """Of a challenger that could not be loaded; while that is `retrying`, no problem is told of."""
    watch = Watch(model, version, 0.0, since)
    watch.problem, watch.loaded, watch.retrying = problem, False, retrying
    return watch


def _p99_ms(seconds: list[float]) -> float | None:
    """None of fewer than 20 requests: their 99th percentile would be their slowest."""
    return round(float(np.percentile(seconds, 99)) * 1000.0, 3) if len(seconds) >= _FEW else None
