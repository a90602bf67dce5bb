"""Carrying out what a flush decided, each step as often as it needs, in an order that a crash cannot break.

Quarantine and rows of each model, dead letters, announcements; the caller commits the offsets last. Every step may
be repeated: tables drop what they hold, dead letters remember what was acknowledged, announcements are idempotent.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass
from itertools import repeat
from typing import TypeVar

from flywheel_schemas.events import DatasetCommitted
from kafka_runtime.backoff import delay_s
from kafka_runtime.errors import Retryable as KafkaRetryable
from lake import Retryable as LakeRetryable
from stream_processor.application.flush import Decided, ModelFlush, announcement
from stream_processor.application.ports import Announcements, Appended, DeadLetters, Tables
from telemetry import logging, tracing

_LOG = logging.get(__name__)
_Result = TypeVar("_Result")


class GaveUp(Exception):
    """A step failed for so long that only stopping the process is honest."""


class Stopping(Exception):
    """The process was asked to stop while a step was waiting for its next attempt."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a step is retried, how its waits end early, and who hears of troubles."""

    give_up_s: float
    wait: Callable[[float], bool]
    troubled: Callable[[str | None], None]

    def retry(self, what: str, step: Callable[[], _Result]) -> _Result:
        """`step()`, again while its errors are retryable. Raises GaveUp, Stopping or what is not retryable."""
        began, attempt = time.monotonic(), 0
        while True:
            try:
                result = step()
            except (LakeRetryable, KafkaRetryable) as exc:
                attempt += 1
                waited = time.monotonic() - began
                self.troubled(f"{what}: {exc}")
                if waited > self.give_up_s:
                    raise GaveUp(f"{what} has failed for {waited:.0f} s: {exc}") from exc
                _LOG.warning("flush_step_retried", step=what, attempt=attempt, detail=str(exc))
                if self.wait(delay_s(attempt)):
                    raise Stopping from exc
            else:
                self.troubled(None)
                return result


class Settler:
    """Settles the flushes of one topic, one at a time."""

    def __init__(
        self, tables: Tables, dead_letters: DeadLetters, announcements: Announcements | None, patience: Patience
    ) -> None:
        self._tables = tables
        self._dead_letters = dead_letters
        self._announcements = announcements
        self._patience = patience
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="append")

    def settle(self, decided: Decided) -> None:
        """Returns when everything but the offsets is safe. Raises GaveUp, Stopping, or a lake or Kafka error."""
        # A thread of the pool works in the context, and so in the trace, of whoever gave it its work.
        contexts = [copy_context() for _ in decided.flushes]
        appended = list(self._pool.map(Context.run, contexts, repeat(self._append), decided.flushes))
        if decided.dead_letters:
            self._patience.retry("dead letters", lambda: self._dead_letters.publish(decided.dead_letters))
        if self._announcements is not None:
            self.announce(
                [
                    announcement(flush.model, flush.topic, done.version, partition, share)
                    for flush, done in zip(decided.flushes, appended, strict=True)
                    for partition, share in done.shares.items()
                ]
            )

    def announce(self, events: Sequence[DatasetCommitted]) -> None:
        """Publish dataset-committed events. A stream without announcements says nothing."""
        if events and (announcements := self._announcements) is not None:
            self._patience.retry("announcements", lambda: announcements.dataset_committed(events))

    def _append(self, flush: ModelFlush) -> Appended:
        attributes = {"flywheel.model": flush.model, "flywheel.rows": flush.rows.num_rows}
        with tracing.span("append to lake", attributes=attributes) as span:
            done = self._patience.retry(f"append to {flush.model}", lambda: self._tables.append(flush))
            span.set_attribute("flywheel.dataset_version", done.version)
        return done
