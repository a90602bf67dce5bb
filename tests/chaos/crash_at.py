"""A real processor that dies by SIGKILL at a chosen boundary: `python -m tests.chaos.crash_at BOUNDARY NTH`.

It is built by the processor's own wiring; one collaborator is wrapped by one that kills the process at its NTH call.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flywheel_schemas.events import DatasetCommitted, ThresholdReached
from stream_processor import wiring
from stream_processor.__main__ import run
from stream_processor.application.flush import ModelFlush, SourceRecord
from stream_processor.application.ports import Announcements, Appended, DeadLetters, Offsets, Tables
from stream_processor.domain.routing import DeadLetter
from stream_processor.settings import Settings
from telemetry import logging
from tests.dying import Fuse


class _Offsets(Offsets):
    def __init__(self, real: Offsets, before: Callable[[], None], after: Callable[[], None]) -> None:
        self._real, self._before, self._after = real, before, after

    async def commit(self, topic: str, next_offsets: Mapping[int, int]) -> None:
        self._before()
        await self._real.commit(topic, next_offsets)
        self._after()


class _Tables:
    """Breaks `append` and hands everything else on."""

    def __init__(self, real: Tables, before: Callable[[], None], after: Callable[[], None]) -> None:
        self._real, self._before, self._after = real, before, after

    def append(self, flush: ModelFlush) -> Appended:
        self._before()
        appended = self._real.append(flush)
        self._after()
        return appended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _DeadLetters(DeadLetters):
    def __init__(self, real: DeadLetters, after: Callable[[], None]) -> None:
        self._real, self._after = real, after

    def publish(self, letters: Sequence[tuple[SourceRecord, DeadLetter]]) -> None:
        # The first half is acknowledged, the rest never sent.
        self._real.publish(letters[: (len(letters) + 1) // 2])
        self._after()
        self._real.publish(letters[(len(letters) + 1) // 2 :])

    def published(self, topic: str, beyond: Mapping[int, int]) -> dict[int, set[int]]:
        return self._real.published(topic, beyond)


class _Announcements(Announcements):
    def __init__(self, real: Announcements, before: Callable[[], None]) -> None:
        self._real, self._before = real, before

    def dataset_committed(self, events: Sequence[DatasetCommitted]) -> None:
        self._before()
        self._real.dataset_committed(events)

    def threshold_reached(self, event: ThresholdReached) -> None:
        self._real.threshold_reached(event)


def _nothing() -> None:
    """Lives on."""


BOUNDARIES: dict[str, Callable[[Fuse], wiring.Wraps]] = {
    "before_append": lambda fuse: wiring.Wraps(tables=lambda real: _Tables(real, fuse.burn, _nothing)),
    "after_append": lambda fuse: wiring.Wraps(tables=lambda real: _Tables(real, _nothing, fuse.burn)),
    "amid_dead_letters": lambda fuse: wiring.Wraps(dead_letters=lambda real: _DeadLetters(real, fuse.burn)),
    "before_announcement": lambda fuse: wiring.Wraps(announcements=lambda real: _Announcements(real, fuse.burn)),
    "before_commit": lambda fuse: wiring.Wraps(offsets=lambda real: _Offsets(real, fuse.burn, _nothing)),
    "after_commit": lambda fuse: wiring.Wraps(offsets=lambda real: _Offsets(real, _nothing, fuse.burn)),
}


def main() -> int:
    """Never returns 0: it dies, or fails."""
    boundary, nth = sys.argv[1], int(sys.argv[2])
    logging.configure(f"crash-at-{boundary}", "INFO")
    return asyncio.run(run(Settings(), BOUNDARIES[boundary](Fuse(nth)))) or 1


if __name__ == "__main__":
    sys.exit(main())
