"""Brings predictions to Kafka in order, and to disk while Kafka is away.

While all is well the event loop itself sends, a slice at a time: Kafka's client asks for Python's lock for every
delivery report, and a second thread that does so beside the loop takes the lock from it each time. The courier's own
thread does what blocks: it connects, spools and replays.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Protocol

from flywheel_schemas.topics import PREDICTIONS
from inference.adapters.prediction_events import records
from inference.adapters.spool import Record, Spool, SpoolFull
from inference.application.ports import Answered
from kafka_runtime.errors import BrokerUnavailable, KafkaRuntimeError, RecordRefused
from telemetry import logging

log = logging.get(__name__)
_CHUNK = 1000
_SLICE = 100
_LOOK_S = 0.02
_RETRY_S = 1.0


class Sends(Protocol):
    """What of kafka_runtime.publisher.Publisher is used here."""

    def send_raw(
        self,
        topic: Any,
        key: bytes,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        on_delivery: Callable[[Any, Any], None] | None = None,
    ) -> None:
        """Hand over one record."""

    def poll(self, timeout_s: float = 0.0) -> int:
        """Serve delivery reports."""

    def flush(self, timeout_s: float) -> int:
        """Wait for all; how many are left."""

    def failure(self, topic: Any, error: Any) -> KafkaRuntimeError:
        """A delivery report's error as ours."""


class Counts(Protocol):
    """What the courier counts."""

    def published(self, rows: int) -> None:
        """Acknowledged by Kafka."""

    def dropped(self, rows: int, reason: str) -> None:
        """Lost: queue_full, spool_full, spool_failed or refused."""

    def spooled(self, rows: int, bytes_on_disk: int) -> None:
        """Kept on disk; how large the spool is now."""


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
        self._kafka = kafka
        self._prepare = prepare
        self._spool = spool
        self._counts = counts
        self._queue_rows = queue_rows
        self._flush_s = flush_s
        self._queue: deque[Answered] = deque()
        self._begun: Iterator[Record] = iter(())
        self._queued_rows = 0
        self._unacknowledged: dict[int, Record] = {}
        self._sent = self._acknowledged = 0
        self._failed: str | None = "not connected yet"
        self._try_again_at = 0.0
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._turn = threading.Lock()  # held by whoever sends, spools or replays
        self._thread = threading.Thread(target=self._run, name="prediction-courier", daemon=True)

    @property
    def problem(self) -> str | None:
        """Why predictions are being spooled; None while Kafka takes them."""
        return self._failed

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
        if self._failed is not None or not self._turn.acquire(blocking=False):
            return False
        try:
            if self._spool.empty:
                self._send(self._next_records(_SLICE))
                self._kafka.poll(0.0)
                self._count_acknowledged()
        finally:
            self._turn.release()
        return bool(self._queue) and self._failed is None

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
        if self._failed is None and self._spool.empty:
            return
        if self._unacknowledged:
            self._fall_back()
        if self._failed is not None:
            self._recover()
        self._to_spool(self._next_records(_CHUNK))
        if self._failed is None:
            self._replay()

    def _finish(self) -> None:
        """Send what waits, or spool it."""
        while waiting := self._next_records(_CHUNK):
            if self._failed is None and self._spool.empty:
                self._send(waiting)
            else:
                self._fall_back()
                self._to_spool(waiting)
        self._fall_back()
        self._count_acknowledged()

    def _next_records(self, count: int) -> list[Record]:
        found = list(islice(self._begun, count))
        while len(found) < count and self._queue:
            answered = self._queue.popleft()
            with self._lock:
                self._queued_rows -= len(answered.answers)
            self._begun = records(answered)
            found.extend(islice(self._begun, count - len(found)))
        return found

    def _send(self, waiting: Iterable[Record]) -> None:
        for record in waiting:
            number = self._sent = self._sent + 1
            self._unacknowledged[number] = record
            if self._failed is None:
                self._hand_over(number, record)

    def _hand_over(self, number: int, record: Record) -> None:
        report = partial(self._delivered, number)
        try:
            self._kafka.send_raw(PREDICTIONS, record.key, record.value, record.headers, report)
        except BrokerUnavailable as exc:  # the client's own queue is full
            self._failed = str(exc)
        except RecordRefused as exc:
            self._refuse(number, exc)

    def _delivered(self, number: int, error: Any, _: Any) -> None:
        if error is None:
            self._unacknowledged.pop(number, None)
            self._acknowledged += 1
            return
        failure = self._kafka.failure(PREDICTIONS, error)
        if isinstance(failure, RecordRefused):
            self._refuse(number, failure)
        else:
            self._failed = str(failure)

    def _count_acknowledged(self) -> None:
        if self._acknowledged:
            self._counts.published(self._acknowledged)
            self._acknowledged = 0

    def _refuse(self, number: int, why: RecordRefused) -> None:
        self._unacknowledged.pop(number, None)
        self._counts.dropped(1, "refused")
        log.error("prediction_refused", reason=str(why))

    def _fall_back(self) -> None:
        """Every record that is with Kafka's client comes to an end; those that failed go to disk in their order."""
        self._kafka.flush(self._flush_s)
        failed = [self._unacknowledged[number] for number in sorted(self._unacknowledged)]
        self._unacknowledged.clear()
        if failed:
            log.warning("predictions_spooled", reason=self._failed, records=len(failed))
            self._to_spool(failed)
            self._try_again_at = time.monotonic() + _RETRY_S

    def _recover(self) -> None:
        if time.monotonic() < self._try_again_at:
            return
        try:
            self._prepare()
        except KafkaRuntimeError as exc:
            self._failed = str(exc)
            self._try_again_at = time.monotonic() + _RETRY_S
        else:
            self._failed = None
            log.info("predictions_flow", spooled_bytes=self._spool.bytes)

    def _replay(self) -> None:
        """Send the first records of the spool, and remove them once all are acknowledged."""
        waiting = self._spool.peek(_CHUNK)
        self._send(waiting)
        self._kafka.flush(self._flush_s)
        self._count_acknowledged()
        if self._unacknowledged:
            self._failed = self._failed or "no acknowledgement in time"
            self._unacknowledged.clear()  # they are still on disk
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
