"""What deciding asks of the lake, asked again for as long as the lake is away."""

import time
from collections.abc import Callable, Sequence

from typing_extensions import override

from stream_processor.application.partition import Partition
from stream_processor.application.ports import Knowledge, Tables
from stream_processor.application.recovering import Recovery
from stream_processor.application.screening import Screens
from stream_processor.application.settling import Patience

_SCREENS_STALE_S = 5.0


class RetriedKnowledge(Knowledge):
    """Knowledge by way of one stream's tables. `screens` reads them anew; it is called every five seconds at most."""

    def __init__(self, recovery: Recovery, tables: Tables, screens: Callable[[], Screens], patience: Patience) -> None:
        self._recovery = recovery
        self._tables = tables
        self._read_screens = screens
        self._patience = patience
        self._screens = Screens()
        self._read_at_s = float("-inf")

    @override
    def learn(self, model: str, partitions: Sequence[Partition]) -> None:
        self._patience.retry(f"learn {model}", lambda: self._recovery.learn(model, partitions, time.time()))

    @override
    def screens(self) -> Screens:
        if time.monotonic() - self._read_at_s > _SCREENS_STALE_S:
            self._screens = self._patience.retry("tombstones and profiles", self._read_screens)
            self._read_at_s = time.monotonic()
        return self._screens

    @override
    def stored(self, model: str, event_ids: Sequence[str]) -> set[str]:
        return self._patience.retry(f"look into {model}", lambda: self._tables.stored(model, event_ids))
