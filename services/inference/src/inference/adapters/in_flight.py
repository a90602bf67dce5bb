"""Records that are with Kafka's client, until each is acknowledged, refused or given up."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from flywheel_schemas.topics import PREDICTIONS
from inference.adapters.spool import Record
from kafka_runtime.errors import BrokerUnavailable, KafkaRuntimeError, RecordRefused
from telemetry import logging

log = logging.get(__name__)


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
    """What is counted on the way."""

    def published(self, rows: int) -> None:
        """Acknowledged by Kafka."""

    def dropped(self, rows: int, reason: str) -> None:
        """Lost: queue_full, spool_full, spool_failed or refused."""

    def spooled(self, rows: int, bytes_on_disk: int) -> None:
        """Kept on disk; how large the spool is now."""


class InFlight:
    """Sends, and remembers what it has sent until Kafka has it. Used by one thread at a time."""

    def __init__(self, kafka: Sends, counts: Counts) -> None:
        self._kafka = kafka
        self._counts = counts
        self._unacknowledged: dict[int, Record] = {}
        self._sent = self._acknowledged = 0
        self.problem: str | None = "not connected yet"

    @property
    def any(self) -> bool:
        """Whether something is not acknowledged yet."""
        return bool(self._unacknowledged)

    def send(self, records: Iterable[Record]) -> None:
        """Hand records over. Once there is a problem, the rest is only remembered, in order."""
        for record in records:
            number = self._sent = self._sent + 1
            self._unacknowledged[number] = record
            if self.problem is None:
                self._hand_over(number, record)

    def poll(self) -> None:
        """Take the delivery reports that are there."""
        self._kafka.poll(0.0)
        self._count()

    def settle(self, timeout_s: float) -> None:
        """Wait until each record has come to an end."""
        self._kafka.flush(timeout_s)
        self._count()

    def take_back(self) -> list[Record]:
        """What Kafka did not acknowledge, in the order in which it was sent; it is forgotten here."""
        failed = [self._unacknowledged[number] for number in sorted(self._unacknowledged)]
        self._unacknowledged.clear()
        return failed

    def _hand_over(self, number: int, record: Record) -> None:
        report = partial(self._delivered, number)
        try:
            self._kafka.send_raw(PREDICTIONS, record.key, record.value, record.headers, report)
        except BrokerUnavailable as exc:  # the client's own queue is full
            self.problem = str(exc)
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
            self.problem = str(failure)

    def _refuse(self, number: int, why: RecordRefused) -> None:
        self._unacknowledged.pop(number, None)
        self._counts.dropped(1, "refused")
        log.error("prediction_refused", reason=str(why))

    def _count(self) -> None:
        if self._acknowledged:
            self._counts.published(self._acknowledged)
            self._acknowledged = 0
