"""Feedback in the background: the caller never waits for the network."""

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from flywheel_client.errors import ApiError, QueueClosed, QueueFull, Transient, Unreachable
from flywheel_client.models import BatchResult, Feedback

log = logging.getLogger(__name__)
_PAUSE_S = 1.0


class SendsBatches(Protocol):
    """What the queue needs of a client."""

    def batch(self, said: Sequence[Feedback]) -> BatchResult:
        """As `Client.batch`."""
        ...


def _log_refusal(said: Feedback, why: str) -> None:
    log.error("feedback %s was refused: %s", said.event_id, why)


class FeedbackQueue:
    """Collects feedback and sends it in batches from a thread of its own.

    A batch goes when `flush_count` wait or the oldest has waited `flush_after_s`. What a service cannot take now
    stays, in order, and is sent again under the same event_ids; what it refuses is given to
    `on_refused(feedback, why)`, called in that thread. Nothing is kept on disk: a process that is killed loses
    what `len(queue)` says. Closing drains; so does the interpreter's normal end, for `drain_s` at most.
    """

    def __init__(
        self,
        client: SendsBatches,
        *,
        max_waiting: int = 10_000,
        flush_count: int = 500,
        flush_after_s: float = 1.0,
        drain_s: float = 10.0,
        on_refused: Callable[[Feedback, str], None] = _log_refusal,
    ) -> None:
        self._client = client
        self._max_waiting, self._flush_count = max_waiting, flush_count
        self._flush_after_s, self._drain_s = flush_after_s, drain_s
        self._on_refused = on_refused
        self._waiting: deque[tuple[float, Feedback]] = deque()
        self._changed = threading.Condition()
        self._sending = 0
        self._closed = self._abandoned = False
        self._thread = threading.Thread(target=self._work, name="flywheel-feedback", daemon=True)
        self._thread.start()
        _open_queues.add(self)

    def put(self, said: Feedback) -> None:
        """Takes it and returns at once. Raises QueueFull or QueueClosed, and then has not taken it."""
        with self._changed:
            if self._closed:
                raise QueueClosed("the queue is closed; this feedback was not taken")
            if len(self) >= self._max_waiting:
                raise QueueFull(f"{self._max_waiting:,} pieces of feedback wait; this one was not taken")
            self._waiting.append((time.monotonic(), said))
            self._changed.notify_all()

    def __len__(self) -> int:
        """How many are not yet acknowledged."""
        return len(self._waiting) + self._sending

    def flush(self, timeout_s: float | None = None) -> bool:
        """Waits until all that was put is answered; False when `timeout_s` passed first."""
        with self._changed:
            self._waiting = deque((float("-inf"), said) for _, said in self._waiting)
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not len(self) or self._abandoned, timeout_s) and not len(self)

    def close(self, timeout_s: float | None = None) -> int:
        """Takes nothing more and sends what waits, for at most `timeout_s` (unless given, `drain_s`).

        Gives how many are left unsent. A second call is harmless.
        """
        with self._changed:
            self._closed = True
        self.flush(self._drain_s if timeout_s is None else timeout_s)
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
        _open_queues.discard(self)
        return len(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            again = self._send(batch)
            with self._changed:
                self._sending = 0
                self._waiting.extendleft((float("-inf"), said) for said in reversed(again))
                self._changed.notify_all()
                if again and not self._abandoned:
                    self._changed.wait_for(lambda: self._abandoned, _PAUSE_S)

    def _next_batch(self) -> list[Feedback] | None:
        """Waits until one is due; None when the queue is closed and done, or given up."""
        with self._changed:
            while not self._abandoned:
                due_in_s = self._due_in_s()
                if due_in_s <= 0:
                    count = min(len(self._waiting), self._flush_count)
                    batch = [self._waiting.popleft()[1] for _ in range(count)]
                    self._sending = len(batch)
                    return batch
                self._changed.wait(None if due_in_s == float("inf") else due_in_s)
            return None

    def _due_in_s(self) -> float:
        if not self._waiting:
            return float("inf")
        if len(self._waiting) >= self._flush_count:
            return 0.0
        return self._waiting[0][0] + self._flush_after_s - time.monotonic()

    def _send(self, batch: list[Feedback]) -> list[Feedback]:
        """What must be sent again."""
        try:
            result = self._client.batch(batch)
        except (Transient, Unreachable) as error:
            log.warning("feedback is sent again: %s", error)
            return batch
        except ApiError as error:
            return self._refuse(batch, str(error))
        again = []
        for item in result.items:
            if item.problem is not None and item.problem.is_transient:
                again.append(batch[item.index])
            elif item.problem is not None:
                self._refuse([batch[item.index]], item.problem.detail)
        return again

    def _refuse(self, batch: list[Feedback], why: str) -> list[Feedback]:
        for said in batch:
            try:
                self._on_refused(said, why)
            except Exception:
                log.exception("on_refused failed for feedback %s", said.event_id)
        return []


_open_queues: set[FeedbackQueue] = set()


@atexit.register
def _drain_all() -> None:
    for queue in list(_open_queues):
        left = queue.close()
        if left:
            log.error("%d pieces of feedback were not sent before the process ended", left)
