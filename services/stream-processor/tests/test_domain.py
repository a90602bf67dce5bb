import logging
import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from stream_processor.domain.flushing import FlushPolicy
from stream_processor.domain.seen import SeenIds, keys_of
from stream_processor.domain.thresholds import Crossing, LastTrigger, crossing
from stream_processor.entrypoints.library_logs import OncePer

SECRET = (0x1234, 0x5678)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def ids(*numbers: int) -> np.ndarray:
    return np.array([divmod(number, 2**64) for number in numbers], dtype=np.uint64).reshape(-1, 2)


def keys(*numbers: int) -> np.ndarray:
    return keys_of(ids(*numbers), SECRET)


def test_an_id_is_new_once():
    seen = SeenIds(100.0, 0.0)
    assert seen.add_new(keys(1, 2, 1), 0.0).tolist() == [True, True, False]
    assert seen.add_new(keys(2, 3), 1.0).tolist() == [False, True]


def test_an_id_is_remembered_for_one_window_and_forgotten_after_two():
    seen = SeenIds(100.0, 0.0)
    seen.add_new(keys(1), 99.0)
    assert not seen.add_new(keys(1), 199.0)[0]
    seen = SeenIds(100.0, 0.0)
    seen.add_new(keys(1), 99.0)
    seen.add_new(keys(2), 101.0)
    assert seen.add_new(keys(1), 202.0)[0]


def test_what_the_lake_holds_is_not_new():
    seen = SeenIds(100.0, 0.0)
    seen.load(keys(1, 2))
    assert seen.add_new(keys(2, 3), 0.0).tolist() == [False, True]
    assert len(seen) == 3


def test_the_index_agrees_with_a_set_over_many_batches():
    random = np.random.default_rng(7)
    seen, known = SeenIds(1e9, 0.0), set()
    for _ in range(60):
        batch = random.integers(0, 60_000, 2_000).tolist()
        expected = []
        for one in batch:
            expected.append(one not in known)
            known.add(one)
        assert seen.add_new(keys(*batch), 0.0).tolist() == expected


@pytest.mark.parametrize("shape", [lambda i: i, lambda i: i << 64, lambda i: (i << 64) | i, lambda i: i << 120])
def test_regular_ids_do_not_collide(shape):
    numbers = [shape(i) for i in range(1, 256)]
    assert len(set(keys(*numbers).tolist())) == 255


def test_keys_depend_on_the_secret():
    one = ids(uuid.uuid4().int)
    assert keys_of(one, (1, 2)) != keys_of(one, (1, 3))
    assert keys_of(one, (1, 2)) != keys_of(one, (2, 2))


def test_a_flush_is_due_by_rows_or_bytes_or_age_but_never_without_rows():
    policy = FlushPolicy(rows=10, bytes=100, age_s=1.0)
    assert policy.due(10, 0, 0.0)
    assert policy.due(1, 100, 0.0)
    assert policy.due(1, 1, 1.0)
    assert not policy.due(9, 99, 0.9)
    assert not policy.due(0, 0, 60.0)
    assert policy.full(30, 0)
    assert not policy.full(29, 299)


NO_COOLDOWN = timedelta(0)


def test_the_first_crossing_counts_every_labelled_row():
    assert crossing(9, None, 10, NO_COOLDOWN, NOW) is None
    assert crossing(12, None, 10, NO_COOLDOWN, NOW) == Crossing(0, 12, 10, 12)


def test_the_next_crossing_counts_rows_since_the_last():
    last = LastTrigger(4, NOW, 12)
    assert crossing(21, last, 10, NO_COOLDOWN, NOW) is None
    assert crossing(22, last, 10, NO_COOLDOWN, NOW) == Crossing(5, 10, 10, 22)


def test_nothing_fires_during_the_cooldown():
    last = LastTrigger(0, NOW, 0)
    assert crossing(50, last, 10, timedelta(minutes=10), NOW + timedelta(minutes=9)) is None
    assert crossing(50, last, 10, timedelta(minutes=10), NOW + timedelta(minutes=10)) is not None


def test_deleted_rows_do_not_fire_and_a_model_without_a_threshold_never_does():
    assert crossing(5, LastTrigger(0, NOW, 12), 1, NO_COOLDOWN, NOW) is None
    assert crossing(10**9, None, None, NO_COOLDOWN, NOW) is None


def test_a_library_that_repeats_itself_is_heard_now_and_then():
    times = iter([0.0, 1.0, 1.0, 31.0])
    limit = OncePer(30.0, lambda: next(times))
    record = logging.LogRecord("aiokafka", logging.ERROR, "", 0, "Unable connect to node with id %s", (1,), None)
    other = logging.LogRecord("aiokafka", logging.ERROR, "", 0, "Heartbeat failed", (), None)
    assert [limit.filter(record), limit.filter(record), limit.filter(other), limit.filter(record)] == [
        True, False, True, True,
    ]  # fmt: skip
