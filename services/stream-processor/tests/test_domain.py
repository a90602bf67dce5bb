import logging
import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel_schemas.spec import RetrainPolicy
from stream_processor.domain.flushing import FlushPolicy
from stream_processor.domain.seen import SeenIds, keys_of
from stream_processor.domain.thresholds import (
    Crossing,
    HeldBack,
    LastTrigger,
    NewFeedback,
    crossing,
    may_have_crossed,
    weighed,
)
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


def new(weighed: int, quarantined: int = 0) -> NewFeedback:
    return NewFeedback(weighed, weighed, quarantined)


def test_the_first_crossing_is_trigger_0_and_says_why():
    policy = RetrainPolicy(feedback_count=10)
    assert crossing(new(9), None, policy, NOW) is None
    found = crossing(new(12), None, policy, NOW)
    assert isinstance(found, Crossing)
    assert (found.number, found.observed, found.threshold) == (0, 12, 10)
    assert found.note == "12 answers have a new label, 10 are enough; 100% came in clean"


def test_a_closer_look_is_taken_when_there_are_rows_enough_since_the_last_trigger():
    last = LastTrigger(4, NOW, 12)
    assert not may_have_crossed(21, last, 10)
    assert may_have_crossed(22, last, 10)
    assert may_have_crossed(5, last, 10)  # some were deleted
    assert not may_have_crossed(10**9, None, None)


def test_nothing_fires_during_cooldown_and_quiet_periods():
    last = LastTrigger(0, NOW, 0)
    policy = RetrainPolicy(feedback_count=10, cooldown="10m", quiet=("22:00-06:00",))
    noon = NOW.replace(hour=12)
    assert isinstance(crossing(new(50), last, policy, NOW + timedelta(minutes=9)), HeldBack)
    assert isinstance(crossing(new(50), last, policy, noon), Crossing)
    assert crossing(new(50), last, policy, NOW.replace(hour=23)) == HeldBack("22:00-06:00 is a quiet period")
    assert isinstance(crossing(new(50), last, policy, NOW.replace(hour=5, minute=59)), HeldBack)
    assert isinstance(crossing(new(50), last, policy, NOW.replace(hour=6)), Crossing)


def test_new_feedback_that_is_not_clean_enough_waits():
    policy = RetrainPolicy(feedback_count=10, min_clean_share=0.8)
    assert isinstance(crossing(new(10, 2), None, policy, NOW), Crossing)
    assert isinstance(crossing(new(10, 3), None, policy, NOW), HeldBack)


@given(st.lists(st.integers(1, 5000), max_size=40), st.integers(0, 500), st.integers(0, 100_000))
def test_no_user_counts_for_more_than_their_share_and_nobody_for_more_than_they_said(counts, anonymous, others):
    per_user = np.array(counts, dtype=np.int64)
    counted = weighed(per_user, anonymous, others, 0.02)
    assert counted <= per_user.sum() + anonymous
    assert counted >= anonymous + min(len(counts), per_user.sum())
    flood = weighed(np.array([1_000_000]), anonymous, 50_000, 0.02)
    assert flood - anonymous <= 0.02 * (50_000 + flood) + 1


def test_a_library_that_repeats_itself_is_heard_now_and_then():
    times = iter([0.0, 1.0, 1.0, 31.0])
    limit = OncePer(30.0, lambda: next(times))
    record = logging.LogRecord("aiokafka", logging.ERROR, "", 0, "Unable connect to node with id %s", (1,), None)
    other = logging.LogRecord("aiokafka", logging.ERROR, "", 0, "Heartbeat failed", (), None)
    assert [limit.filter(record), limit.filter(record), limit.filter(other), limit.filter(record)] == [
        True, False, True, True,
    ]  # fmt: skip
