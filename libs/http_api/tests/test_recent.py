import itertools
import threading

from http_api.recent import Recent
from tests.waiting import until


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_result_that_took_long_is_given_at_once_while_a_new_one_is_made():
    clock, numbers, go_on = Clock(), itertools.count(), threading.Event()
    recent: Recent[int] = Recent(old_s=600.0, clock=clock)

    def make() -> int:
        clock.now_s += 2.0
        number = next(numbers)
        if number:
            go_on.wait(10)
        return number

    assert recent.get("quality", make) == 0
    clock.now_s += 19.0
    assert recent.get("quality", make) == 0
    clock.now_s += 2.0
    assert recent.get("quality", make) == 0
    go_on.set()
    until(lambda: recent.get("quality", make) == 1, 10)


def test_a_result_that_is_too_old_or_quick_to_make_is_made_before_it_is_given():
    clock, numbers = Clock(), itertools.count()
    recent: Recent[int] = Recent(old_s=600.0, clock=clock)

    def slow() -> int:
        clock.now_s += 2.0
        return next(numbers)

    assert recent.get("slow", slow) == 0
    clock.now_s += 601.0
    assert recent.get("slow", slow) == 1
    assert recent.get("quick", lambda: next(numbers)) == 2
    clock.now_s += 0.1
    assert recent.get("quick", lambda: next(numbers)) == 3
