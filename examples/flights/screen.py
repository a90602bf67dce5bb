"""What the person who started the demo sees while it runs."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from flights.replay import Progress as Moment

RATE_OVER_S = 5.0


class Screen:
    """Lines, and a bar with date, rows, rate and the version that serves. Without a terminal a line for each month."""

    def __init__(self, console: Console, flights: int) -> None:
        self._console = console
        self._began_s = time.monotonic()
        self._flights = flights
        self._seen: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._month = 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def say(self, line: str) -> None:
        """Print one line, with the seconds since the beginning."""
        self._console.print(
            f"{time.monotonic() - self._began_s:5.0f} s  {line}", markup=False, highlight=False, soft_wrap=True
        )

    @contextmanager
    def bar(self) -> Iterator[None]:
        """Shows the bar inside the block."""
        self._seen = deque([(time.monotonic(), 0)])
        if not self._console.is_terminal:
            yield
            return
        columns = (TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console) as bar:
            self._bar, self._task = bar, bar.add_task("", total=self._flights)
            yield
        self._bar = None

    def tell(self, now: Moment) -> None:
        """Show what happens now."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=now.flights, description=self._words(now))
        elif now.at.month != self._month:
            self._month = now.at.month
            self.say(self._words(now))

    def _words(self, now: Moment) -> str:
        version = now.versions[-1] if now.versions else "-"
        events = now.flights + now.posted
        return (
            f"{now.at:%d %b} · {now.flights:,} flights · {now.posted:,} words of feedback · "
            f"{self._rate(events):,.0f} events/s · version {version}"
        )

    def _rate(self, events: int) -> float:
        now_s = time.monotonic()
        self._seen.append((now_s, events))
        while len(self._seen) > 2 and now_s - self._seen[0][0] > RATE_OVER_S:
            self._seen.popleft()
        then_s, before = self._seen[0]
        elapsed_s = now_s - then_s
        return (events - before) / elapsed_s if elapsed_s > 0 else 0.0
