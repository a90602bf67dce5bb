"""From one record to its settlement: handled, or dead-lettered; never in between."""

import threading
from collections.abc import Callable
from typing import Protocol

from kafka_runtime import backoff, messaging
from kafka_runtime.errors import Poison, Retryable
from kafka_runtime.record import Record
from telemetry import logging, metrics

_LOG = logging.get("kafka_runtime")
_DEAD_LETTERS = metrics.counter(
    "flywheel_worker_dead_letters_total", "Records of low-volume topics that became dead letters.", ("topic",)
)
UNEXPECTED_ATTEMPTS = 5

Handler = Callable[[Record], None]


class Burial(Protocol):
    """Where dead letters go."""

    def send(self, record: Record, reason: str, exception: str) -> None:
        """Returns when the letter is stored. Raises Retryable when it could not be."""


class Settling:
    """Calls the handler until the record is settled.

    Retryable: waits and calls again, for as long as it takes. Poison: dead letter. Any other exception is tried
    again, and dead-lettered at the fifth failure: it may have been an outage that nobody translated.
    """

    def __init__(
        self, handler: Handler, dead_letters: Burial, attempts: int = UNEXPECTED_ATTEMPTS, group: str | None = None
    ) -> None:
        self._group = group
        self._handler = handler
        self._dead_letters = dead_letters
        self._attempts = attempts

    def settle(self, record: Record, abandoned: threading.Event) -> bool:
        """True when the record is settled; False when `abandoned` was set while it waited for another attempt."""
        attempt = 0
        while not abandoned.is_set():
            attempt += 1
            try:
                self._attempt(record, attempt)
            except Retryable as exc:
                _LOG.warning("record_waits", attempt=attempt, error=str(exc), **where(record))
                abandoned.wait(backoff.delay_s(attempt, exc.retry_after_s))
            else:
                return True
        return False

    def _attempt(self, record: Record, attempt: int) -> None:
        try:
            with messaging.processing(record, self._group):
                self._handler(record)
        except Retryable:
            raise
        except Poison as exc:
            self._bury(record, exc.reason, exc)
        except Exception as exc:
            if attempt < self._attempts:
                raise Retryable(f"{type(exc).__name__}: {exc}") from exc
            self._bury(record, "handler failed", exc)

    def _bury(self, record: Record, reason: str, cause: Exception) -> None:
        exception = repr(cause.__cause__ or cause)
        self._dead_letters.send(record, reason, exception)
        _DEAD_LETTERS.labels(record.topic).inc()
        _LOG.error("record_dead_lettered", reason=reason, exception=exception, **where(record))


def where(record: Record) -> dict[str, object]:
    """The log fields that find the record again."""
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
