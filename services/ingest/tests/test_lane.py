"""The lane and the route are one service: what the lane takes, it takes as the route does."""

import json

import pytest

from http_api import key_file
from ingest.application.ports import BrokerAway, Unconfirmed

from .conftest import EVENT_ID, PREDICTION_ID, example

JSON = [(b"content-type", b"application/json")]


def by_lane(service, body, headers=JSON):
    """Whether the lane takes it, and the answers it gives as (status line, headers, body)."""
    answers = []
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    taken = service.lane.take(headers, raw, lambda head, text: answers.append((head, text)))
    return taken, answers


FITTING = [
    example(event_id=EVENT_ID),
    example(event_id=EVENT_ID, user_id="somebody", comment="é", occurred_at="2026-11-24T12:00:00Z"),
    {"event_id": EVENT_ID, "model": "flights", "kind": "correction", "prediction_id": PREDICTION_ID, "label": "late"},
    {"event_id": EVENT_ID, "model": "flights", "kind": "rating", "rating": 4},
]


@pytest.mark.parametrize("event", FITTING)
async def test_what_fits_is_published_and_answered_as_by_the_route(make_service, event):
    alone, beside = make_service(), make_service()
    answer = await beside.post(event)
    taken, [(head, text)] = by_lane(alone, event)
    assert taken
    assert text == answer.content
    status, *lines = head.decode().split("\r\n")
    assert status == f"HTTP/1.1 {answer.status_code} Accepted"
    assert dict(line.split(": ") for line in lines if line) == dict(answer.headers)
    [ours], [theirs] = alone.publishing.feedback, beside.publishing.feedback
    times = {"received_at", "occurred_at"}
    assert ours.model_dump(exclude=times) == theirs.model_dump(exclude=times)


async def test_a_token_is_believed(service):
    taken, _ = by_lane(service, {"kind": "confirmation", "feedback_token": service.token()})
    [event] = service.publishing.feedback
    assert taken
    assert (event.model_version, event.audited, event.label) == ("3", True, "late")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b'{"model": "flights", "model": "flights", "kind": "rating", "rating": 4}',
        {"model": "unknown", "kind": "rating", "rating": 4},
        example(label="never"),
        example(features={"carrier": "UA", "distance": 1e9}),
        {"kind": "confirmation", "feedback_token": "forged"},
    ],
)
def test_what_does_not_fit_is_left_to_the_route(service, body):
    assert by_lane(service, body) == (False, [])
    assert service.publishing.events == []


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"text/plain")],
        [*JSON, (b"content-encoding", b"gzip")],
        [*JSON, (b"origin", b"https://app.example")],
    ],
)
def test_a_request_that_needs_more_is_left_to_the_route(service, headers):
    assert by_lane(service, example(), headers) == (False, [])


def test_somebody_without_a_key_is_left_to_the_route(make_service, tmp_path):
    path = tmp_path / "keys.json"
    writer, _ = key_file.create(path, ["feedback:write"], "app")
    reader, _ = key_file.create(path, ["read"], "other")
    service = make_service(keys_file=path)
    assert by_lane(service, example()) == (False, [])
    assert by_lane(service, example(), [*JSON, (b"x-api-key", reader.encode())]) == (False, [])
    assert by_lane(service, example(), [*JSON, (b"authorization", f"Bearer {writer}".encode())])[0]


def test_a_broker_that_is_away_is_left_to_the_route(service):
    service.publishing.error = BrokerAway("gone")
    assert by_lane(service, example()) == (False, [])


def test_an_event_that_was_not_confirmed_is_a_503_with_its_id(service):
    service.publishing.outcome_later = Unconfirmed("no answer")
    taken, [(head, text)] = by_lane(service, example(event_id=EVENT_ID))
    assert taken
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: " in head or b"retry-after: " in head
    assert json.loads(text)["event_id"] == EVENT_ID


@pytest.mark.parametrize(("sampler", "taken"), [("always_on", False), ("always_off", True)])
def test_a_trace_that_is_kept_goes_by_the_route_which_makes_its_spans(service, request, monkeypatch, sampler, taken):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    request.getfixturevalue("spans")
    assert by_lane(service, example())[0] is taken
