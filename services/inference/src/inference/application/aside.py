"""Answering aside: a challenger in the shadow answers what the champion has answered, after the reply."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from inference.application.answer import Answer, Question, decided, prediction_ids
from inference.application.ports import Answered, PredictionLog
from inference.application.served import ServedModel, Trial
from telemetry import logging

log = logging.get(__name__)
_EVERY_S = 0.1
Waiting = tuple[Trial, Question, Sequence[Answer], str | None]


class Aside:
    """Runs in a thread of its own, a slice of requests at a time, so that replies hardly feel it.

    At most `rows_per_s` rows are answered aside; requests beyond that are passed over, which leaves a sample.
    """

    def __init__(self, log: PredictionLog, *, rows_per_s: int = 500, now_s: Callable[[], float] = time.time) -> None:
        self._log = log
        self._now_s = now_s
        self._slice = max(1, int(rows_per_s * _EVERY_S))
        self._queue: deque[Waiting] = deque()
        self._rows = 0
        self._stopping = threading.Event()

    def offer(self, trial: Trial, question: Question, answers: Sequence[Answer], user_hash: str | None) -> None:
        """Take what the champion has answered; never blocks."""
        if self._rows < self._slice:
            self._rows += len(answers)
            self._queue.append((trial, question, answers, user_hash))

    def run(self) -> None:
        """Answer until `stop`."""
        while not self._stopping.wait(_EVERY_S):
            self.work()

    def work(self) -> None:
        """Answer what waits."""
        while self._queue:
            trial, question, answers, user_hash = self._queue.popleft()
            try:
                self._answer(trial, question, answers, user_hash)
            except Exception as exc:
                trial.watch.failed()
                log.warning("shadow_failed", model=trial.watch.model, version=trial.watch.version, reason=str(exc))
        self._rows = 0

    def stop(self) -> None:
        """Let `run` return; from any thread."""
        self._stopping.set()

    def _answer(self, trial: Trial, question: Question, champions: Sequence[Answer], user_hash: str | None) -> None:
        challenger, now_s = trial.challenger, self._now_s()
        rows = list(islice(question.rows, self._slice))
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
    names = [served.schema.names[position] for position in served.schema.categorical_indices]
    return [[f"{name}={getattr(row, name)}" for name in names] for row in rows]
