import threading
from collections.abc import Callable, Iterator

import pytest

from kafka_runtime import backoff
from kafka_runtime.errors import BrokerUnavailable, Poison, Retryable
from kafka_runtime.handling import Settling
from kafka_runtime.record import Record

_RECORD = Record("t", 0, 7, b"k", b"{}")


class Letters:
    """Dead letters in memory; refuses the first `unavailable` of them."""

    def __init__(self, unavailable: int = 0) -> None:
        self.sent: list[tuple[int, str, str]] = []
        self._unavailable = unavailable

    def send(self, record: Record, reason: str, exception: str) -> None:
        if self._unavailable:
            self._unavailable -= 1
            raise BrokerUnavailable("dlq", 0.0)
        self.sent.append((record.offset, reason, exception))


class NoWait(threading.Event):
    """An `abandoned` that never waits."""

    def __init__(self, after: int | None = None) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._after = after

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        if self._after is not None and len(self.waits) >= self._after:
            self.set()
        return self.is_set()


def failing(*errors: Exception | None) -> Callable[[Record], None]:
    left: Iterator[Exception | None] = iter(errors)

    def handle(_: Record) -> None:
        if error := next(left):
            raise error

    return handle


def settle(handler: Callable[[Record], None], letters: Letters, abandoned: NoWait | None = None) -> bool:
    return Settling(handler, letters).settle(_RECORD, abandoned or NoWait())


def test_a_handled_record_is_settled() -> None:
    letters = Letters()
    assert settle(failing(None), letters)
    assert letters.sent == []


def test_retryable_waits_longer_each_time_and_calls_again() -> None:
    waits = NoWait()
    assert settle(failing(Retryable("a"), Retryable("b"), Retryable("c", 7.0), None), Letters(), waits)
    assert waits.waits == [0.5, 1.0, 7.0]


def test_retryable_is_tried_for_as_long_as_it_takes() -> None:
    letters = Letters()
    assert settle(failing(*[Retryable("away")] * 200, None), letters)
    assert letters.sent == []


def test_poison_is_buried_with_its_reason_and_cause() -> None:
    letters = Letters()
    error = Poison("not JSON")
    error.__cause__ = ValueError("line 1")
    assert settle(failing(error), letters)
    assert letters.sent == [(7, "not JSON", "ValueError('line 1')")]


def test_an_unexpected_error_is_tried_five_times_then_buried() -> None:
    letters, waits = Letters(), NoWait()
    assert settle(failing(*[KeyError("x")] * 5), letters, waits)
    assert letters.sent == [(7, "handler failed", "KeyError('x')")]
    assert len(waits.waits) == 4


def test_a_dead_letter_that_nobody_acknowledged_is_sent_again() -> None:
    letters = Letters(unavailable=2)
    assert settle(failing(*[Poison("bad")] * 3), letters)
    assert letters.sent == [(7, "bad", "Poison('bad')")]


def test_an_abandoned_record_is_not_settled() -> None:
    assert not settle(failing(*[Retryable("away")] * 9), Letters(), NoWait(after=2))


@pytest.mark.parametrize(
    ("attempt", "asked", "expected"), [(1, None, 0.5), (4, None, 4.0), (99, None, 30), (1, 600, 30)]
)
def test_waits_double_up_to_half_a_minute(attempt: int, asked: float | None, expected: float) -> None:
    assert backoff.delay_s(attempt, asked) == expected
