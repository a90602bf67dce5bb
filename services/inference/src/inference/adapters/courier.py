"""Brings predictions to Kafka from a thread of its own, in order, and to disk while Kafka is away."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from flywheel_schemas.topics import PREDICTIONS
from kafka_runtime.errors import BrokerUnavailable, KafkaRuntimeError, RecordRefused
from telemetry import logging

from inference.adapters.prediction_events import records
from inference.adapters.spool import Record, Spool, SpoolFull
from inference.application.ports import Answered

log = logging.get(__name__)
_CHUNK = 1000
_IDLE_S = 0.01
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
        self._queued_rows = 0
        self._unacknowledged: dict[int, Record] = {}
        self._sent = self._acknowledged = 0
        self._failed: str | None = "not connected yet"
        self._try_again_at = 0.0
        self._stopping = threading.Event()
        self._lock = threading.Lock()
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

    def _run(self) -> None:
        while True:
            stopping = self._stopping.is_set()
            try:
                self._work()
            except Exception:
                log.exception("prediction_courier_failed")
                self._stopping.wait(_RETRY_S)
            if stopping and not self._queue:
                break
        if self._failed is None and self._kafka.flush(self._flush_s) == 0 and self._failed is None:
            return
        self._to_spool(self._take_back())

    def _work(self) -> None:
        if self._failed is not None:
            self._recover()
        if self._failed is None and self._spool.empty:
            self._send(self._next_records())
            self._kafka.poll(0.0 if self._queue else _IDLE_S)
            self._count_acknowledged()
            if self._failed is not None:
                self._fall_back()
            return
        self._to_spool(self._next_records())
        if self._failed is None:
            self._replay()
        else:
            self._stopping.wait(0.05)

    def _next_records(self) -> list[Record]:
        found: list[Record] = []
        while len(found) < _CHUNK and self._queue:
            answered = self._queue.popleft()
            found.extend(records(answered))
            with self._lock:
                self._queued_rows -= len(answered.answers)
        return found

    def _send(self, waiting: Iterable[Record]) -> None:
        for record in waiting:
            number = self._sent = self._sent + 1
            self._unacknowledged[number] = record
            if self._failed is None:
                self._hand_over(number, record)

    def _hand_over(self, number: int, record: Record) -> None:
        report = partial(self._delivered, number)
        for _ in range(100):
            try:
                self._kafka.send_raw(PREDICTIONS, record.key, record.value, record.headers, report)
                return
            except BrokerUnavailable as exc:  # the client's own queue is full
                full = exc
                self._kafka.poll(0.05)
            except RecordRefused as exc:
                self._refuse(number, exc)
                return
        self._failed = str(full)

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
        """Every record that is still with Kafka's client comes to an end, then all go to disk in their order."""
        log.warning("predictions_spooled", reason=self._failed)
        self._kafka.flush(self._flush_s)
        self._to_spool(self._take_back())
        self._try_again_at = time.monotonic() + _RETRY_S

    def _take_back(self) -> list[Record]:
        taken = [self._unacknowledged[number] for number in sorted(self._unacknowledged)]
        self._unacknowledged.clear()
        return taken

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
