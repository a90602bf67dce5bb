"""The quick way and the careful way are one contract."""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel_schemas.events import Feedback
from flywheel_schemas.tokens import FeedbackToken, TokenKeys
from http_api.problems import ProblemError
from ingest.application.accepting import Desk, TokenPolicy
from ingest.domain.refusals import Refused
from ingest.domain.submission import Arrival, FeedbackEvent
from ingest.entrypoints import parsing
from ingest.entrypoints.intake import Intake

from .conftest import DELAYS, EVENT_ID, FLIGHTS, PREDICTION_ID, SECRET, Models, example

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ARRIVAL = Arrival(NOW, None)
KEYS = TokenKeys(SECRET)
MODELS = Models(FLIGHTS, DELAYS)
DESK = Desk(MODELS, KEYS, TokenPolicy(required=False, max_age_s=3600.0))
INTAKE = Intake(DESK, lambda: None)
TOKEN = KEYS.sign(FeedbackToken(PREDICTION_ID, "flights", "3", "champion", "late", True, int(NOW.timestamp())))

moments = st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-7, minutes=30)))).map(
    datetime.isoformat
)
odd_times = st.sampled_from(
    [
        "2013-03-01T12:00:00.1234567Z",
        "2013-03-01T12:00:00.9999999+01:00",
        "2013-03-01 12:00:00Z",
        "2013-03-01T12:00Z",
        "2013-03-01",
        "1700000000",
        "0001-01-01T00:00:00+01:00",
        "2013-03-01T12:00:60Z",
        "2013-03-01T12:00:00",
    ]
)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0, 1400, -1, 6000.5])
scraps = st.none() | st.booleans() | numbers | st.text(max_size=10) | st.just([]) | st.just({})
features = st.fixed_dictionaries(
    {"carrier": st.sampled_from(["UA", "AA", "B6"])}, optional={"distance": st.integers(0, 6000) | st.none()}
)
any_features = features | st.dictionaries(st.sampled_from(["carrier", "distance", "x", "b d"]), scraps)


def often(good: st.SearchStrategy, bad: st.SearchStrategy) -> st.SearchStrategy:
    return st.integers(0, 9).flatmap(lambda draw: bad if draw == 0 else good)


EVENTS = st.fixed_dictionaries(
    {"kind": often(st.sampled_from(["correction", "confirmation", "rating", "example"]), scraps)},
    optional={
        "event_id": often(
            st.uuids().map(str), scraps | st.uuids().map(lambda u: u.hex) | st.just("{" + EVENT_ID + "}")
        ),
        "model": often(st.just("flights"), st.sampled_from(["delays", "trains"]) | scraps),
        "prediction_id": often(st.just(PREDICTION_ID), st.uuids().map(str) | scraps),
        "feedback_token": often(st.just(TOKEN), st.just(TOKEN[:-1]) | scraps),
        "features": often(features, any_features | scraps),
        "label": often(st.sampled_from(["late", "on_time"]), scraps),
        "rating": often(st.integers(1, 5), st.integers(-1, 7) | scraps),
        "comment": often(st.text(max_size=20), st.just("x" * 2001) | st.just('":') | st.just(" : ") | scraps),
        "user_id": often(st.text(min_size=1, max_size=5), st.just("x" * 257) | scraps),
        "source": often(st.just("app"), scraps),
        "occurred_at": often(moments, odd_times | scraps),
        "audited": st.just(True),
    },
)
WRITERS = st.sampled_from(
    [
        json.dumps,
        lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
        lambda value: json.dumps(value, indent=1),
        lambda value: json.dumps(value, separators=(" , ", " : ")),
        lambda value: json.dumps(value, separators=(",", ":"))[:-1] + ',"kind":"rating"}',
    ]
)
RAWS = st.builds(lambda event, write: write(event).encode("utf-8", "replace"), EVENTS, WRITERS)


def outcome(accept) -> object:
    """What came of an event: the event itself (less the id that was made up), or the refusal's kind."""
    try:
        event = Feedback.parse(accept().value)
    except (ProblemError, Refused) as refusal:
        return str(refusal)
    return event


def same(one: object, other: object, raw: bytes) -> bool:
    if isinstance(one, Feedback) and isinstance(other, Feedback) and json.loads(raw).get("event_id") is None:
        other = other.model_copy(update={"event_id": one.event_id})
    return one == other


@settings(max_examples=400, deadline=None)
@given(RAWS)
def test_both_ways_accept_and_refuse_the_same_and_give_the_same_event(raw):
    by_both = outcome(lambda: INTAKE.take(raw, ARRIVAL))
    by_care = outcome(lambda: DESK.accept(parsing.careful(raw, MODELS.get), ARRIVAL))
    assert same(by_both, by_care, raw)


@settings(max_examples=200, deadline=None)
@given(RAWS)
def test_what_the_quick_way_reads_the_careful_way_reads_alike(raw):
    quick = parsing.quick(raw)
    if quick is not None:
        try:
            careful = parsing.careful(raw, MODELS.get)
        except Refused:
            # Rules that bind fields together are the desk's for the quick way.
            with pytest.raises(Refused):
                DESK.accept(quick, ARRIVAL)
            return
        careful.source = None if "source" not in json.loads(raw) else careful.source
        assert msgspec.structs.asdict(quick) == msgspec.structs.asdict(careful)


@settings(max_examples=100, deadline=None)
@given(st.lists(RAWS, min_size=1, max_size=5))
def test_a_batch_is_read_like_its_events_one_by_one(raws):
    lines = [raw.replace(b"\n", b"") for raw in raws]
    for found in (
        parsing.quick_all(b"\n".join(lines), lines=True),
        parsing.quick_all(b"[" + b",".join(lines) + b"]", lines=False),
    ):
        if found is not None:
            assert [msgspec.json.encode(each) for each in found] == [
                msgspec.json.encode(parsing.quick(line)) for line in lines
            ]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"event_id": EVENT_ID, "user_id": "alice", "source": "app", "occurred_at": "2013-03-01T12:00:00.123456Z"},
        {"occurred_at": "2013-03-01T12:00:00+02:00", "comment": "Größe 😀"},
        {"features": {"carrier": "UA", "distance": None}},
        {"kind": "correction", "prediction_id": PREDICTION_ID},
        {"kind": "confirmation", "feedback_token": TOKEN, "features": None, "label": None, "model": None},
        {"kind": "rating", "rating": 3},
    ],
)
def test_the_feedback_that_clients_usually_send_goes_the_quick_way(changes):
    for separators in ((",", ":"), (", ", ": ")):
        raw = json.dumps(example(**changes), separators=separators).encode()
        quick = parsing.quick(raw)
        assert quick is not None
        assert DESK.accept(quick, ARRIVAL)


def test_the_published_event_has_the_fields_of_the_contract_and_no_other():
    sent_on_only_by_producers_without_a_key = {"feedback_token", "user_id"}
    assert set(FeedbackEvent.__struct_fields__) == set(Feedback.model_fields) - sent_on_only_by_producers_without_a_key


def test_an_event_id_in_another_spelling_becomes_the_usual_one():
    raw = json.dumps(example(event_id="urn:uuid:" + EVENT_ID.upper())).encode()
    assert DESK.accept(parsing.careful(raw, MODELS.get), ARRIVAL).event_id == str(UUID(EVENT_ID))
