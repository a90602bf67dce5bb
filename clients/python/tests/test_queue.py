import subprocess
import sys
import threading
from collections.abc import Sequence

import pytest

from flywheel_client import BatchResult, Feedback, FeedbackQueue, Item, Problem, QueueClosed, QueueFull, Unreachable


class Service:
    """Takes batches while `open` is set; refuses labels that begin with 'bad', asks for 'later' ones again once."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.taken: list[str] = []
        self.failures = 0
        self.open = threading.Event()
        self.open.set()
        self._asked_again: set[str] = set()

    def batch(self, said: Sequence[Feedback]) -> BatchResult:
        self.open.wait(10)
        self.batches.append([each.event_id for each in said])
        if self.failures:
            self.failures -= 1
            raise Unreachable("away")
        items = [self._take(index, each) for index, each in enumerate(said)]
        accepted = sum(item.status == "accepted" for item in items)
        return BatchResult(accepted=accepted, rejected=len(items) - accepted, items=items)

    def _take(self, index: int, said: Feedback) -> Item:
        problem = None
        if str(said.label).startswith("bad"):
            problem = Problem(status=422, title="", detail="no such label")
        elif str(said.label).startswith("later") and said.event_id not in self._asked_again:
            self._asked_again.add(said.event_id)
            problem = Problem(status=503, title="", detail="not confirmed")
        else:
            self.taken.append(said.event_id)
        return Item(index=index, event_id=said.event_id, status="rejected" if problem else "accepted", problem=problem)


def said(label: str = "late") -> Feedback:
    return Feedback.correction(label, token="t")


def test_a_batch_goes_when_enough_wait():
    service = Service()
    with FeedbackQueue(service, flush_count=3, flush_after_s=600) as queue:
        for _ in range(6):
            queue.put(said())
        assert queue.flush(10)
        assert len(service.taken) == 6
        assert max(map(len, service.batches)) <= 3


def test_a_batch_goes_when_the_oldest_has_waited_long_enough():
    service = Service()
    with FeedbackQueue(service, flush_count=1000, flush_after_s=0.02) as queue:
        queue.put(said())
        while not service.taken:
            threading.Event().wait(0.005)


def test_closing_sends_what_waits_and_takes_nothing_more():
    service = Service()
    queue = FeedbackQueue(service, flush_after_s=600)
    queue.put(said())

    assert queue.close() == 0
    assert len(service.taken) == 1
    with pytest.raises(QueueClosed):
        queue.put(said())
    assert queue.close() == 0


def test_the_bound_counts_what_is_being_sent_and_refuses_at_once():
    service = Service()
    service.open.clear()
    queue = FeedbackQueue(service, max_waiting=3, flush_count=2, flush_after_s=600)
    for _ in range(3):
        queue.put(said())
    with pytest.raises(QueueFull):
        queue.put(said())
    service.open.set()
    assert queue.close() == 0
    assert len(service.taken) == 3


def test_an_outage_keeps_order_and_ids(monkeypatch):
    monkeypatch.setattr("flywheel_client.queue._PAUSE_S", 0.01)
    service = Service()
    service.failures = 2
    feedback = [said() for _ in range(4)]
    with FeedbackQueue(service, flush_count=2, flush_after_s=0) as queue:
        for each in feedback:
            queue.put(each)
        assert queue.flush(10)
    assert service.taken == [each.event_id for each in feedback]


def test_what_was_not_confirmed_is_sent_again_and_what_was_refused_is_reported(monkeypatch):
    monkeypatch.setattr("flywheel_client.queue._PAUSE_S", 0.01)
    service, refused = Service(), []
    feedback = [said("late"), said("bad"), said("later")]
    with FeedbackQueue(service, flush_after_s=0, on_refused=lambda each, why: refused.append((each, why))) as queue:
        for each in feedback:
            queue.put(each)
        assert queue.flush(10)
    assert sorted(service.taken) == sorted([feedback[0].event_id, feedback[2].event_id])
    assert refused == [(feedback[1], "no such label")]


def test_a_close_that_cannot_drain_gives_up_in_time_and_says_how_many_are_left():
    service = Service()
    service.failures = 10**6
    queue = FeedbackQueue(service, flush_after_s=600)
    queue.put(said())

    assert queue.close(timeout_s=0.05) == 1


def test_the_end_of_the_process_drains():
    program = """
from flywheel_client import BatchResult, Feedback, FeedbackQueue
class Service:
    def batch(self, said):
        print("sent", len(said), flush=True)
        return BatchResult(accepted=len(said), rejected=0, items=[])
FeedbackQueue(Service(), flush_after_s=600).put(Feedback.confirmation(token="t"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout == "sent 1\n"
