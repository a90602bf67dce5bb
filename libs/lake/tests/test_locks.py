import threading
import time

import pytest
from deltalake import CommitProperties
from deltalake.exceptions import CommitFailedError

from lake import locks, schema
from lake.locks import LockHeld, LockLost, hold, holder


def test_one_holds_it_at_a_time(lake):
    with hold(lake, "fruit", "feedback", "upkeep"):
        assert holder(lake, "fruit", "feedback") == "upkeep"
        with pytest.raises(LockHeld, match="upkeep"), hold(lake, "fruit", "feedback", "rollback"):
            raise AssertionError
        with hold(lake, "fruit", "quarantine", "erasure") as other:
            other.check()
    assert holder(lake, "fruit", "feedback") is None


def test_whoever_waits_gets_it_when_it_is_released(lake):
    held = hold(lake, "fruit", "feedback", "upkeep")
    held.__enter__()
    threading.Timer(0.2, lambda: held.__exit__(None, None, None)).start()
    with hold(lake, "fruit", "feedback", "rollback", wait_s=10.0) as lock:
        assert lock.epoch == 1


def test_of_many_at_once_one_gets_it(lake):
    inside: list[int] = []
    overlaps: list[int] = []

    def work() -> None:
        with hold(lake, "fruit", "feedback", "one of many", wait_s=30.0):
            inside.append(1)
            overlaps.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    racers = [threading.Thread(target=work) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert overlaps == [1, 1, 1, 1]


def test_a_dead_holder_is_succeeded_and_learns_of_it(lake):
    dead = locks._acquire(lake.objects, "fruit/_flywheel/locks/feedback/", "dead", wait_s=0.0, ttl_s=0.1)
    with hold(lake, "fruit", "feedback", "successor", wait_s=5.0, ttl_s=0.1) as lock:
        assert lock.epoch == dead.epoch + 1
        with pytest.raises(LockLost, match="dead was too slow"):
            dead.check()


def test_a_living_holder_keeps_it_past_its_time_to_live(lake):
    with hold(lake, "fruit", "feedback", "slow", ttl_s=0.3) as lock:
        with pytest.raises(LockHeld), hold(lake, "fruit", "feedback", "eager", wait_s=0.8, ttl_s=0.3):
            raise AssertionError
        lock.check()


def test_a_sleeper_cannot_commit_beside_its_successor(lake, spec, rows):
    table = lake.table("fruit", "feedback")
    table.ensure(schema.feedback(spec))
    table.append(table.at(None), rows(0, 1), CommitProperties())
    sleeper = locks.TableLock(lake.objects, "fruit/_flywheel/locks/feedback/", 1, "sleeper")
    successor = locks.TableLock(lake.objects, "fruit/_flywheel/locks/feedback/", 2, "successor")
    stale = table.at(None)
    table.append(table.at(None), rows(2, 3), successor.commit())
    with pytest.raises(CommitFailedError, match="Concurrent transaction"):
        stale.delete("kafka_offset = 0", commit_properties=sleeper.commit())
