from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from flywheel_client import Retry, Unavailable, Unreachable
from flywheel_client.errors import Invalid
from flywheel_client.retry import retry_after_s


def away(retry_after: float | None = None) -> Unavailable:
    error = Unavailable(503, "away")
    error.retry_after_s = retry_after
    return error


@given(st.integers(1, 4), st.floats(0, 0.999), st.one_of(st.none(), st.floats(0, 30)))
def test_a_wait_is_never_shorter_than_asked_for_nor_longer_than_the_longest(attempt, chance, asked):
    waited = Retry(chance=lambda: chance).wait_s(attempt, away(asked))

    assert waited is not None
    assert (asked or 0) <= waited <= 30


def test_waits_double():
    waits = [Retry(chance=lambda: 1.0).wait_s(attempt, Unreachable("away")) for attempt in (1, 2, 3)]

    assert waits == [0.2, 0.4, 0.8]


def test_what_cannot_succeed_is_not_tried_again():
    assert Retry().wait_s(1, Invalid(422, "no")) is None
    assert Retry(attempts=1).wait_s(1, away()) is None
    assert Retry(attempts=3).wait_s(3, away()) is None


def test_a_service_that_asks_for_more_patience_than_allowed_is_left_alone():
    assert Retry(longest_s=5).wait_s(1, away(60)) is None


def test_retry_after_is_read_as_seconds_or_as_a_date():
    now = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)

    assert retry_after_s("2") == 2
    assert retry_after_s("Tue, 24 Nov 2026 12:00:30 GMT", now) == 30
    assert retry_after_s("Tue, 24 Nov 2026 11:00:00 GMT", now) == 0
    assert retry_after_s("soon") is None
    assert retry_after_s(None) is None
