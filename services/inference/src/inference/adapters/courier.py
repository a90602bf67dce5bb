"""Brings predictions to Kafka in order, and to disk while Kafka is away.

While all is well the event loop itself sends, a slice at a time: Kafka's client asks for Python's lock for every
delivery report, and a second thread that does so beside the loop takes the lock from it each time. The courier's own
thread does what blocks: it connects, spools and replays.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from inference.adapters.in_flight import Counts, InFlight, Sends
from inference.adapters.prediction_events import records
from inference.adapters.spool import Record, Spool, SpoolFull
from inference.application.ports import Answered
from kafka_runtime.errors import KafkaRuntimeError
from telemetry import logging

log = logging.get(__name__)
_CHUNK = 1000
_SLICE, _LARGEST_SLICE, _KEEP_UP = 100, 5000, 8
_LOOK_S = 0.02
_RETRY_S = 1.0


class Courier:
    """A bounded queue in memory, then Kafka; while Kafka does not acknowledge, the spool, then Kafka in order.

    A record that was sent but not acknowledged is sent again, so a consumer may see a prediction_id twice.
    """

    def __init__(
        self,
        kafka: Sends,
        prepare: Callable[[], None],
        spool: Spool,
        counts: Counts,
        *,
        queue_rows: int = 100_000,
        flush_s: float = 8.0,
    ) -> None:
        """`prepare` makes sure that Kafka answers and has the topic; it raises KafkaRuntimeError when not.

        `flush_s` is longer than it takes Kafka's client to give a record up.
        """
        self._in_flight = InFlight(kafka, counts)
        self._prepare = prepare
        self._spool = spool
        self._counts = counts
        self._queue_rows = queue_rows
        self._flush_s = flush_s
        self._queue: deque[Answered] = deque()
        self._begun: Iterator[Record] = iter(())
        self._queued_rows = 0
        self._try_again_at = 0.0
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._turn = threading.Lock()  # held by whoever sends, spools or replays
        self._thread = threading.Thread(target=self._run, name="prediction-courier", daemon=True)

    @property
    def problem(self) -> str | None:
        """Why predictions are being spooled; None while Kafka takes them."""
        return self._in_flight.problem

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def offer(self, answered: Answered) -> None:
        """Take answers; never blocks. What finds the queue full is dropped and counted."""
        rows = len(answered.answers)
        with self._lock:
            if self._queued_rows + rows <= self._queue_rows:
                self._queued_rows += rows
                self._queue.append(answered)
                return
        self._counts.dropped(rows, "queue_full")

    def close(self, timeout_s: float = 10.0) -> None:
        """Send or spool what waits, then end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s + self._flush_s)
        self._spool.close()

    def send_some(self) -> bool:
        """Send a slice of what waits, take delivery reports; True when more waits. For the event loop: never blocks."""
        if self.problem is not None or not self._turn.acquire(blocking=False):
            return False
        try:
            if self._spool.empty:
                # A fixed slice falls behind where requests bring more rows than it sends, until the queue is full.
                count = min(max(_SLICE, self._queued_rows // _KEEP_UP), _LARGEST_SLICE)
                self._in_flight.send(self._next_records(count))
                self._in_flight.poll()
        finally:
            self._turn.release()
        return bool(self._queue) and self.problem is None

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            try:
                with self._turn:
                    self._mend()
            except Exception:
                log.exception("prediction_courier_failed")
                self._stopping.wait(_RETRY_S)
        with self._turn:
            self._finish()

    def _mend(self) -> None:
        """One step back to where the event loop can send."""
        if self.problem is None and self._spool.empty:
            return
        if self._in_flight.any:
            self._fall_back()
        if self.problem is not None:
            self._recover()
        self._to_spool(self._next_records(_CHUNK))
        if self.problem is None:
            self._replay()

    def _finish(self) -> None:
        """Send what waits, or spool it."""
        while waiting := self._next_records(_CHUNK):
            if self.problem is None and self._spool.empty:
                self._in_flight.send(waiting)
            else:
                self._fall_back()
                self._to_spool(waiting)
        self._fall_back()

    def _next_records(self, count: int) -> list[Record]:
        found = list(islice(self._begun, count))
        while len(found) < count and self._queue:
            answered = self._queue.popleft()
            with self._lock:
                self._queued_rows -= len(answered.answers)
            self._begun = records(answered)
            found.extend(islice(self._begun, count - len(found)))
        return found

    def _fall_back(self) -> None:
        """Every record that is with Kafka's client comes to an end; those that failed go to disk in their order."""
        self._in_flight.settle(self._flush_s)
        if failed := self._in_flight.take_back():
            log.warning("predictions_spooled", reason=self.problem, records=len(failed))
            self._to_spool(failed)
            self._try_again_at = time.monotonic() + _RETRY_S

    def _recover(self) -> None:
        if time.monotonic() < self._try_again_at:
            return
        try:
            self._prepare()
        except KafkaRuntimeError as exc:
            self._in_flight.problem = str(exc)
            self._try_again_at = time.monotonic() + _RETRY_S
        else:
            self._in_flight.problem = None
            log.info("predictions_flow", spooled_bytes=self._spool.bytes)

    def _replay(self) -> None:
        """Send the first records of the spool, and remove them once all are acknowledged."""
        waiting = self._spool.peek(_CHUNK)
        self._in_flight.send(waiting)
        self._in_flight.settle(self._flush_s)
        if self._in_flight.take_back():  # they are still on disk
            self._in_flight.problem = self.problem or "no acknowledgement in time"
            self._try_again_at = time.monotonic() + _RETRY_S
            return
        if waiting:
            self._spool.drop(waiting)
        self._counts.spooled(0, self._spool.bytes)

    def _to_spool(self, waiting: list[Record]) -> None:
        if not waiting:
            return
        kept = len(waiting)
        try:
            self._spool.append(waiting)
        except SpoolFull as exc:
            kept -= exc.lost
            self._counts.dropped(exc.lost, "spool_full")
        except OSError as exc:
            kept = 0
            self._counts.dropped(len(waiting), "spool_failed")
            log.error("spool_failed", reason=str(exc))
        self._counts.spooled(kept, self._spool.bytes)
