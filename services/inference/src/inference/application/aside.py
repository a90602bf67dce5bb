"""Answering aside: a challenger in the shadow answers what the champion has answered, after the reply."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

import msgspec

from inference.application.answer import Answer, Question, decided, prediction_ids
from inference.application.ports import Answered, PredictionLog
from inference.application.served import ServedModel, Trial
from telemetry import logging

log = logging.get(__name__)
_ROWS_AT_ONCE = 4
_QUEUED = 200
_CATCH_UP_S = 0.05
_BUSY_ROWS_PER_S = 20
Waiting = tuple[Trial, Question, Sequence[Answer], str | None]


class Aside:
    """Worked by the event loop itself, a few rows at a time between replies.

    A thread of its own would take Python's lock from the loop, and on a busy machine be descheduled while it holds it.
    While requests queue up it answers hardly any, since they would wait for it. At most `rows_per_s` rows are answered
    aside; requests beyond that are passed over, which leaves a sample.
    """

    def __init__(
        self,
        log: PredictionLog,
        *,
        rows_per_s: int = 500,
        now_s: Callable[[], float] = time.time,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._now_s = now_s
        self._clock_s = clock_s
        self._rows_per_s = rows_per_s
        self._queue: deque[Waiting] = deque(maxlen=_QUEUED)
        self._free_at_s = 0.0

    def offer(self, trial: Trial, question: Question, answers: Sequence[Answer], user_hash: str | None) -> None:
        """Take what the champion has answered; never blocks. Of what is too much the newest is kept."""
        self._queue.append((trial, question, answers, user_hash))

    def some(self, *, busy: bool = False) -> None:
        """Answer a few rows of what waits, unless that would be more than `rows_per_s`; `busy`, one now and then."""
        now = self._clock_s()
        if not self._queue or now < self._free_at_s:
            return
        rows = 0
        most = 1 if busy else _ROWS_AT_ONCE
        while self._queue and rows < most:
            rows += self._next(most - rows)
        if busy:
            self._free_at_s = now + rows / min(_BUSY_ROWS_PER_S, self._rows_per_s)
            return
        self._free_at_s = max(self._free_at_s, now - _CATCH_UP_S) + rows / self._rows_per_s

    def _next(self, most: int) -> int:
        trial, question, answers, user_hash = self._queue.popleft()
        rows = list(islice(question.rows, most))
        try:
            self._answer(trial, msgspec.structs.replace(question, rows=rows), answers, user_hash)
        except Exception as exc:
            trial.watch.failed()
            log.warning("shadow_failed", model=trial.watch.model, version=trial.watch.version, reason=str(exc))
        return len(rows)

    def _answer(self, trial: Trial, question: Question, champions: Sequence[Answer], user_hash: str | None) -> None:
        challenger, now_s = trial.challenger, self._now_s()
        rows = question.rows
        began = time.perf_counter()
        own = decided(challenger, rows, prediction_ids(len(rows), now_s), now_s)
        seconds = time.perf_counter() - began
        for answer in own:
            answer.feedback_requested = False
        trial.watch.answered(seconds)
        trial.watch.compared(
            [answer.label for answer in champions[: len(rows)]],
            [answer.label for answer in own],
            _slices(challenger, rows),
        )
        self._log.offer(
            Answered(
                model=challenger.name,
                version=challenger.version,
                variant=challenger.variant,
                rows=rows,
                answers=own,
                user_hash=user_hash,
                answered_at_s=now_s,
                latency_ms=round(seconds * 1000.0, 3),
                traceparent=question.traceparent,
            )
        )


def _slices(served: ServedModel, rows: Sequence[object]) -> list[list[str]]:
    """Each row's groups: its value of every category."""
    names = [served.schema.columns[position] for position in served.schema.categorical_indices]
    return [[f"{name}={getattr(row, name)}" for name in names] for row in rows]
