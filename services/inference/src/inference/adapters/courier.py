"""Brings predictions to Kafka, and to disk while Kafka is away: the work of a process of its own."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from inference.adapters.handover import Told
from inference.adapters.prediction_events import unpacked
from inference.adapters.spool import Record, Spool, SpoolFull
from kafka_runtime.errors import KafkaRuntimeError, RecordRefused
from telemetry import logging

log = logging.get(__name__)
_REPLAYED_AT_ONCE = 1000
_SENT_AT_ONCE, _MOST_SENDING, _GATHER_S = 5000, 2, 0.02
_RETRY_S = 1.0


class Publishes(Protocol):
    """What of kafka_runtime.batches.BatchPublisher is used here."""

    async def publish_all(self, records: Sequence[Record]) -> Mapping[int, KafkaRuntimeError]:
        """Why the records at these positions were not acknowledged."""


class Courier:
    """Sends parcels as they come; while Kafka does not acknowledge, they go to the spool, then to Kafka in order.

    A record that was sent but not acknowledged is sent again, so a consumer may see a prediction_id twice.
    """

    def __init__(
        self, kafka: Publishes, prepare: Callable[[], None], spool: Spool, tell: Callable[[Told], None]
    ) -> None:
        """`prepare` makes sure that Kafka answers and has the topic; it blocks, and raises KafkaRuntimeError if not."""
        self._kafka = kafka
        self._prepare = prepare
        self._spool = spool
        self._tell = tell
        self._parcels: deque[bytes | memoryview] = deque()
        self._sending: set[asyncio.Task[None]] = set()
        self._failed: list[tuple[list[int], list[Record]]] = []
        self._something = asyncio.Event()
        self._try_again_at = 0.0
        self._ending = False
        self.problem: str | None = "not connected yet"

    def take(self, parcel: bytes | memoryview) -> None:
        """Something to bring: what inference.adapters.prediction_events.packed gave."""
        self._parcels.append(parcel)
        self._something.set()

    def end(self) -> None:
        """Nothing more will come: let `run` return when all that was taken is with Kafka or on disk."""
        self._ending = True
        self._something.set()

    async def run(self) -> None:
        """Work until `end`."""
        async with asyncio.TaskGroup() as sends:
            while not (self._ending and not self._parcels and not self._sending and not self._failed):
                if self.problem is None and self._spool.empty and not self._failed:
                    await self._send(sends)
                else:
                    await self._mend()
        self._spool.close()

    async def _send(self, sends: asyncio.TaskGroup) -> None:
        """Send what has gathered, and wait for more, or for an end."""
        if self._parcels and len(self._sending) < _MOST_SENDING:
            sending = sends.create_task(self._publish(*self._gathered()))
            self._sending.add(sending)
            sending.add_done_callback(self._sent)
        elif self._ending:
            await asyncio.wait(self._sending)
        else:
            await self._something.wait()
            self._something.clear()
            await asyncio.sleep(_GATHER_S)  # few large batches are much less work, also for Kafka

    def _gathered(self) -> tuple[list[int], list[Record]]:
        numbers: list[int] = []
        records: list[Record] = []
        while self._parcels and len(records) < _SENT_AT_ONCE:
            number, more = unpacked(self._parcels.popleft())
            numbers.append(number)
            records += more
        return numbers, records

    def _sent(self, sending: "asyncio.Task[None]") -> None:
        self._sending.discard(sending)
        self._something.set()

    async def _publish(self, numbers: list[int], records: list[Record]) -> None:
        left, told = await self._published(records)
        if left:
            self._failed.append((numbers, left))
        else:
            told.settled = numbers
        self._say(told)

    async def _published(self, records: Sequence[Record]) -> tuple[list[Record], Told]:
        """Send: the records that Kafka did not acknowledge but may later, and what is to be told of the others."""
        try:
            failed = await self._kafka.publish_all(records)
        except KafkaRuntimeError as exc:
            failed = dict.fromkeys(range(len(records)), exc)
        later = {place: why for place, why in failed.items() if not isinstance(why, RecordRefused)}
        left = [records[place] for place in sorted(later)]
        if left:
            self.problem = str(next(iter(later.values())))
            self._try_again_at = time.monotonic() + _RETRY_S
        told = Told(published=len(records) - len(failed))
        if refused := [why for why in failed.values() if isinstance(why, RecordRefused)]:
            told.dropped["refused"] = len(refused)
            log.error("predictions_refused", reason=str(refused[0]), records=len(refused))
        return left, told

    async def _mend(self) -> None:
        """One step back to where parcels are sent as they come."""
        if self._sending:  # each comes to an end: acknowledged, refused or given up
            await asyncio.wait(self._sending)
        if self.problem is not None and not self._ending:
            await self._recover()
        for numbers, records in sorted(self._failed):  # they were sent first, so they come first on disk
            log.warning("predictions_spooled", reason=self.problem, records=len(records))
            self._keep(numbers, records)
        self._failed.clear()
        while self._parcels and (self.problem is not None or not self._spool.empty):
            self._keep(*self._gathered())
        if self.problem is None and not self._spool.empty and not self._ending:
            await self._replay()

    async def _recover(self) -> None:
        """Ask whether Kafka is there, unless that was asked a moment ago: then wait for the time or a parcel."""
        if (pause_s := self._try_again_at - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._something.wait()
            self._something.clear()
            return
        try:
            await asyncio.to_thread(self._prepare)
        except KafkaRuntimeError as exc:
            self.problem = str(exc)
            self._try_again_at = time.monotonic() + _RETRY_S
        else:
            self.problem = None
            log.info("predictions_flow", spooled_bytes=self._spool.bytes)

    async def _replay(self) -> None:
        """Send the first records of the spool, and remove them once all are acknowledged."""
        waiting = self._spool.peek(_REPLAYED_AT_ONCE)
        left, told = await self._published(waiting)
        if left:  # all of them are still on disk
            return
        if waiting:
            self._spool.drop(waiting)
        self._say(told)

    def _keep(self, numbers: list[int], records: list[Record]) -> None:
        told = Told(settled=numbers, spooled=len(records))
        try:
            self._spool.append(records)
        except SpoolFull as exc:
            told.spooled -= exc.lost
            told.dropped["spool_full"] = exc.lost
        except OSError as exc:
            told.spooled, told.dropped["spool_failed"] = 0, len(records)
            log.error("spool_failed", reason=str(exc))
        self._say(told)

    def _say(self, told: Told) -> None:
        told.spool_bytes = self._spool.bytes
        self._tell(told)
