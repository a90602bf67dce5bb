"""Time runs again: flights are asked about when they are due to leave, people speak when they have landed.

Only the two HTTP APIs are used, and nothing here tells the trainer anything.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

import numpy as np
import polars as pl

from flights.calls import Calls
from flights.crowd import Answer, Body, Crowd, Posting
from flights.data import FEATURES

HOUR = timedelta(hours=1)
POSTED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Progress:
    """What happens now."""

    at: datetime
    flights: int
    posted: int
    versions: tuple[str, ...]


@dataclass(slots=True)
class Served:
    """What was answered for each flight of the replay: probability of late (NaN: no answer), version, audited."""

    score: np.ndarray
    late: np.ndarray
    audited: np.ndarray
    version: np.ndarray
    versions: list[str] = field(default_factory=list)

    @classmethod
    def nothing(cls, flights: int) -> "Served":
        """No answers yet."""
        return cls(
            np.full(flights, np.nan),
            np.zeros(flights, bool),
            np.zeros(flights, bool),
            np.zeros(flights, np.int64),
        )

    def note(self, flight: int, answer: Answer) -> None:
        """Keep one answer."""
        if answer.model_version not in self.versions:
            self.versions.append(answer.model_version)
        self.score[flight] = answer.score
        self.late[flight] = answer.label == "late"
        self.audited[flight] = answer.feedback_requested
        self.version[flight] = int(answer.model_version)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast time runs: `seconds_per_day` of ours for a day of theirs."""

    seconds_per_day: float

    def due_s(self, since: timedelta) -> float:
        """Seconds after the start at which that much of their time has passed."""
        return since.total_seconds() / 86400.0 * self.seconds_per_day


class Replay:
    """Runs `flights` (in the order of the timetable) past the services."""

    def __init__(self, flights: pl.DataFrame, crowd: Crowd, calls: Calls, pace: Pace) -> None:
        self._flights = flights
        self._crowd = crowd
        self._calls = calls
        self._pace = pace
        self._features = flights.select(FEATURES)
        self._origins = flights["origin"].to_numpy()
        self._truth = flights["label"].to_list()
        self._landed_at = flights["landed_at"].to_list()
        self._waiting: list[tuple[datetime, int, Posting]] = []
        self._order = count()
        self._posted = 0
        self.served = Served.nothing(flights.height)

    async def run(self, tell: Callable[[Progress], None]) -> Served:
        """Until the last flight has been asked about and everybody has spoken."""
        started_s, first = time.monotonic(), None
        for hour, numbers in self._hours():
            first = first or hour
            behind_s = started_s + self._pace.due_s(hour - first) - time.monotonic()
            await asyncio.sleep(max(behind_s, 0.0))
            await asyncio.gather(self._speak(until=hour), *self._ask(numbers))
            tell(Progress(hour, int(numbers[-1]) + 1, self._posted, tuple(self.served.versions)))
        await self._speak(until=None)
        return self.served

    def _hours(self) -> Iterator[tuple[datetime, np.ndarray]]:
        """Each hour of the timetable that has departures, and the numbers of its flights."""
        hours = self._flights["scheduled_at"].dt.truncate("1h")
        starts = np.flatnonzero(np.concatenate([[True], (hours[1:] != hours[:-1]).to_numpy()]))
        for begin, end in zip(starts, [*starts[1:], self._flights.height], strict=True):
            yield hours[int(begin)], np.arange(begin, end)

    def _ask(self, numbers: np.ndarray) -> "Iterator[asyncio.Future[None]]":
        """One request per airport, at the same time."""
        first, beyond = int(numbers[0]), int(numbers[-1]) + 1
        origins = self._origins[first:beyond]
        rows = self._features[first:beyond].to_dicts()
        for origin in np.unique(origins):
            mine = np.flatnonzero(origins == origin)
            instances = [{name: value for name, value in rows[i].items() if value is not None} for i in mine]
            yield asyncio.ensure_future(self._ask_airport(numbers[mine], instances))

    async def _ask_airport(self, numbers: np.ndarray, instances: list[Body]) -> None:
        answers = await self._calls.predict(instances)
        for number, answer in zip(numbers.tolist(), answers, strict=True):
            if answer is None:
                continue
            self.served.note(number, answer)
            if self._truth[number] is not None:
                postings = self._crowd.postings(number, answer, self._truth[number], self._landed_at[number])
                for posting in postings:
                    heapq.heappush(self._waiting, (posting.at, next(self._order), posting))

    async def _speak(self, until: datetime | None) -> None:
        """Post what people have to say by `until` (None: everything that is left)."""
        while self._waiting and (until is None or self._waiting[0][0] <= until):
            sound, nonsense = list[Body](), list[Body]()
            while self._waiting and len(sound) + len(nonsense) < POSTED_AT_ONCE:
                if until is not None and self._waiting[0][0] > until:
                    break
                posting = heapq.heappop(self._waiting)[2]
                (sound if posting.sound else nonsense).append(posting.body)
            self._posted += len(sound) + len(nonsense)
            await self._calls.post(sound, nonsense)
