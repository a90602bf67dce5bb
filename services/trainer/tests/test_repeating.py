import threading

import pytest

from trainer.domain.errors import TryAgain
from trainer.entrypoints.repeating import Repeating

FOREVER_S = 600.0


class Counted:
    """Work that fails as told, once for each error, and can be waited for."""

    def __init__(self, *errors: Exception, asks_s: float | None = None) -> None:
        self._errors = list(errors)
        self._asks_s = asks_s
        self._times = threading.Semaphore(0)

    def __call__(self, _: threading.Event) -> float | None:
        self._times.release()
        if self._errors:
            raise self._errors.pop()
        return self._asks_s

    def was_done(self, within_s: float = 5.0) -> bool:
        return self._times.acquire(timeout=within_s)


@pytest.fixture
def started():
    begun = []

    def start(work, every_s, **options):
        begun.append(Repeating("test", work, every_s, **options))
        begun[-1].start()
        return begun[-1]

    yield start
    for each in begun:
        each.close()


def test_it_is_done_at_once_and_again(started):
    work = Counted()
    started(work, 0.001)
    assert all(work.was_done() for _ in range(3))


def test_without_at_once_a_pause_comes_first(started):
    work = Counted()
    started(work, FOREVER_S, at_once=False)
    assert not work.was_done(within_s=0.05)


@pytest.mark.parametrize("error", [TryAgain("not now"), RuntimeError("a mistake")])
def test_no_error_ends_it(started, error):
    work = Counted(error)
    started(work, 0.001)
    assert work.was_done()
    assert work.was_done()


def test_what_does_not_answer_is_asked_again_sooner(started):
    work = Counted(TryAgain("not now"))
    started(work, FOREVER_S, retry_s=0.001)
    assert work.was_done()
    assert work.was_done()
    assert not work.was_done(within_s=0.05)


def test_work_may_ask_for_its_own_pause(started):
    work = Counted(asks_s=0.001)
    started(work, FOREVER_S)
    assert all(work.was_done() for _ in range(3))


def test_waking_cuts_the_pause_short(started):
    work = Counted()
    repeating = started(work, FOREVER_S)
    assert work.was_done()
    repeating.wake()
    assert work.was_done()


def test_closing_tells_the_work_in_hand_to_end():
    entered, ended = threading.Event(), threading.Event()

    def work(stopping: threading.Event) -> None:
        entered.set()
        assert stopping.wait(5.0)
        ended.set()

    repeating = Repeating("test", work, FOREVER_S)
    repeating.start()
    assert entered.wait(5.0)
    repeating.close()
    assert ended.is_set()
