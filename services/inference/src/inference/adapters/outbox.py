"""Hands what was answered to the courier: a process of its own, so that bringing it to Kafka takes no reply's time."""

import asyncio
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from inference.adapters import handover
from inference.adapters.prediction_events import packed
from inference.application.ports import Answered
from telemetry import logging

log = logging.get(__name__)
_ROWS_A_TURN = 5000
_PARCELS_AT_ONCE = 100
_ROWS_A_PARCEL = 200  # some 100 kB, settled together
_AGAIN_S = 0.5
_LOOK_S = 0.01


class Counts(Protocol):
    """What is counted on the way."""

    def published(self, rows: int) -> None:
        """Acknowledged by Kafka."""

    def dropped(self, rows: int, reason: str) -> None:
        """Lost: queue_full, spool_full, spool_failed, refused or not_handed_over."""

    def spooled(self, rows: int, bytes_on_disk: int) -> None:
        """Kept on disk; how large the spool is now."""


class Outbox:
    """A bounded queue, a courier at work, and what that courier has not settled yet.

    A courier that dies is replaced, and its successor is given again what was open: Kafka may then hold a
    prediction_id twice. For one event loop; only `offer` may be called from any thread.
    """

    def __init__(self, command: Sequence[str], counts: Counts, *, queue_rows: int = 100_000) -> None:
        """`command` starts a courier; its standard input is a socket for parcels, its standard output tells of them."""
        self._command = command
        self._counts = counts
        self._queue_rows = queue_rows
        self._queue: deque[Answered] = deque()
        self._rows = 0  # offered and not settled
        self._lock = threading.Lock()
        self._open: dict[int, tuple[bytes, int]] = {}  # parcels that are not settled, and their rows
        self._unsent: list[bytes] = []
        self._number = 0
        self._courier: socket.socket | None = None
        self._closing = False

    def offer(self, answered: Answered) -> None:
        """Take answers; never blocks. What finds the queue full is dropped and counted."""
        rows = len(answered.answers)
        with self._lock:
            if self._rows + rows <= self._queue_rows:
                self._rows += rows
                self._queue.append(answered)
                return
        self._counts.dropped(rows, "queue_full")

    def send_some(self) -> bool:
        """Hand some of what waits to the courier; True when more could be handed over. Never blocks."""
        if self._courier is None:
            return False
        rows = 0
        while self._queue and rows < _ROWS_A_TURN and len(self._unsent) < _PARCELS_AT_ONCE:
            rows += self._pack()
        try:
            while self._unsent:
                handover.hand_over(self._courier, self._unsent[:_PARCELS_AT_ONCE])
                del self._unsent[:_PARCELS_AT_ONCE]
        except OSError:  # it is busy, or dead, which `run` sees
            return False
        return bool(self._queue)

    async def run(self) -> None:
        """Keep a courier at work until `close`."""
        while not self._closing:
            try:
                await self._work_with_one()
            except Exception:
                log.exception("courier_failed")
            if not self._closing:
                await asyncio.sleep(_AGAIN_S)

    async def close(self, running: "asyncio.Task[None]", timeout_s: float) -> None:
        """Hand everything over and let the courier end, once it has sent or spooled that. `running` is of `run`."""
        until = time.monotonic() + timeout_s
        while (self._queue or self._unsent) and time.monotonic() < until:
            if not self.send_some():
                await asyncio.sleep(_LOOK_S)
        self._closing = True
        self._part()
        try:
            await asyncio.wait_for(running, max(until - time.monotonic(), _LOOK_S))
        except TimeoutError:
            log.error("courier_did_not_end", rows=self._rows)
        if self._rows:
            self._counts.dropped(self._rows, "not_handed_over")

    async def _work_with_one(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            courier = await asyncio.to_thread(
                subprocess.Popen, self._command, stdin=theirs.fileno(), stdout=subprocess.PIPE
            )
        try:
            pipe = asyncio.StreamReader()
            loop = asyncio.get_running_loop()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(pipe), courier.stdout)
            self._courier, self._unsent = ours, [parcel for parcel, _ in self._open.values()]
            if self._closing:
                self.send_some()
                self._part()
            async for told in handover.hears(pipe):
                self._hear(told)
            code = await asyncio.to_thread(courier.wait)
            if not self._closing:
                log.error("courier_ended", code=code, rows=self._rows)
        finally:
            self._part()
            ours.close()
            if courier.poll() is None:
                courier.kill()
                courier.wait()

    def _part(self) -> None:
        """Let the courier see that nothing more will come."""
        if self._courier is not None:
            self._courier.close()
            self._courier = None

    def _pack(self) -> int:
        """Make a parcel of what waits longest; how many rows are in it."""
        several, rows = self._next(_ROWS_A_PARCEL)
        self._number += 1
        parcel = packed(self._number, several)
        self._open[self._number] = (parcel, rows)
        self._unsent.append(parcel)
        return rows

    def _next(self, most: int) -> tuple[list[Answered], int]:
        """What waits, up to `most` rows; of a request with more, the next of its rows."""
        several, rows = [], 0
        while rows < most and self._queue:
            answered = self._queue.popleft()
            if (count := len(answered.answers)) > most - rows:
                answered, rest = _split(answered, most - rows)
                self._queue.appendleft(rest)
                count = most - rows
            several.append(answered)
            rows += count
        return several, rows

    def _hear(self, told: handover.Told) -> None:
        for number in told.settled:
            _, rows = self._open.pop(number, (b"", 0))
            with self._lock:
                self._rows -= rows
        if told.published:
            self._counts.published(told.published)
        for reason, rows in told.dropped.items():
            self._counts.dropped(rows, reason)
        self._counts.spooled(told.spooled, told.spool_bytes)


def _split(answered: Answered, at: int) -> tuple[Answered, Answered]:
    rows, answers = answered.rows, answered.answers
    return (
        msgspec.structs.replace(answered, rows=rows[:at], answers=answers[:at]),
        msgspec.structs.replace(answered, rows=rows[at:], answers=answers[at:]),
    )
