import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from http_api import key_file
from ingest.application.ports import BrokerAway, Crowded, Unconfirmed

from .conftest import EVENT_ID, PREDICTION_ID, example


async def test_feedback_is_thanked_for_and_published_with_what_the_server_knows(service):
    before = datetime.now(UTC)
    answer = await service.post(example(event_id=EVENT_ID, user_id="alice", occurred_at="2013-03-01T12:00:00+02:00"))
    assert answer.status_code == 202
    told = answer.json()
    assert (told["event_id"], told["status"]) == (EVENT_ID, "accepted")
    assert "Thank you" in told["message"]
    assert "may improve the model" in told["message"]
    (event,) = service.publishing.feedback
    assert str(event.event_id) == EVENT_ID
    assert event.features == {"carrier": "UA", "distance": 1400.0}
    assert event.occurred_at == datetime(2013, 3, 1, 10, tzinfo=UTC)
    assert before <= event.received_at <= datetime.now(UTC)
    assert event.source == "api"
    assert event.user_id is None
    assert event.user_hash == service.tokens.user_hash("alice")
    assert b"alice" not in service.publishing.events[0].value


async def test_the_key_that_posted_it_is_published_and_nobody_may_claim_another(make_service, keys_file):
    text, entry = key_file.create(keys_file, ["feedback:write"])
    service = make_service(keys_file=keys_file)
    bearer = {"authorization": f"Bearer {text}"}
    assert (await service.post(example(), headers=bearer)).status_code == 202
    batch = await service.client.post("/v1/feedback/batch", json=[example()], headers=bearer)
    assert batch.status_code == 202
    assert [event.key_id for event in service.publishing.feedback] == [entry.id, entry.id]
    refused = await service.post(example(key_id="0" * 12), headers=bearer)
    assert (refused.status_code, refused.json()["errors"]) == (
        422,
        [{"detail": "key_id is filled in by the server; leave it out", "pointer": "/key_id"}],
    )


async def test_without_keys_no_key_is_named(service):
    await service.post(example())
    assert service.publishing.feedback[0].key_id is None
    assert b"key_id" not in service.publishing.events[0].value


async def test_an_event_id_is_made_where_none_is_sent(service):
    told = (await service.post(example())).json()
    assert UUID(told["event_id"]).version == 4
    assert str(service.publishing.feedback[0].event_id) == told["event_id"]


async def test_the_same_event_id_again_is_accepted_again(service):
    for _ in range(2):
        assert (await service.post(example(event_id=EVENT_ID))).status_code == 202


async def test_a_token_fills_in_what_it_vouches_for_and_stays_here(service):
    token = service.token()
    answer = await service.post({"kind": "correction", "feedback_token": token, "label": "on_time"})
    assert answer.status_code == 202
    (event,) = service.publishing.feedback
    assert (event.model, str(event.prediction_id), event.model_version) == ("flights", PREDICTION_ID, "3")
    assert (event.variant, event.predicted, event.audited) == ("champion", "late", True)
    assert event.label == "on_time"
    assert token.encode() not in service.publishing.events[0].value


async def test_a_confirmation_takes_its_label_from_the_token(service):
    await service.post({"kind": "confirmation", "feedback_token": service.token()})
    assert service.publishing.feedback[0].label == "late"


async def test_a_confirmation_of_a_number_takes_it_from_the_token(service):
    await service.post({"kind": "confirmation", "feedback_token": service.token(model="delays", predicted=12.5)})
    assert service.publishing.feedback[0].label == 12.5


async def test_a_correction_by_prediction_id_alone_is_taken(service):
    sent = {"model": "flights", "kind": "correction", "prediction_id": PREDICTION_ID, "label": "late"}
    assert (await service.post(sent)).status_code == 202


async def test_a_rating_needs_no_label(service):
    assert (await service.post({"kind": "rating", "rating": 4, "model": "flights"})).status_code == 202


async def test_explicit_nulls_read_like_absent_fields(service):
    nulls = dict.fromkeys(
        ["event_id", "prediction_id", "feedback_token", "rating", "comment", "user_id", "occurred_at"]
    )
    assert (await service.send(json.dumps({**example(), **nulls}).encode())).status_code == 202


@pytest.mark.parametrize(
    ("changes", "pointer", "told"),
    [
        ({"label": "tardy"}, "/label", "'tardy' is not a value of late; allowed, as text: on_time, late"),
        ({"label": 3}, "/label", "a number is not a value of late; allowed, as text: on_time, late"),
        ({"label": True}, "/label", "a truth value is not a value of late"),
        ({"label": ["late"]}, "/label", "a list is not a value of late"),
        ({"model": "delays", "features": {}, "label": 5000}, "/label", "5000 is out of range; allowed: -120 to 2000"),
        ({"model": "delays", "features": {}, "label": "long"}, "/label", "minutes is a number; this is text"),
        ({"features": {"carrier": "XX"}}, "/features/carrier", "allowed: UA, AA, B6"),
        ({"features": {"carrier": "UA", "distance": 9000}}, "/features/distance", "lies from 0 to 6000"),
        ({"features": {"carrier": "UA", "distance": "far"}}, "/features/distance", "this is text"),
        ({"features": {"carrier": "UA", "speed": 1}}, "/features/speed", "no such feature; it has: carrier, distance"),
        ({"features": {"distance": 1}}, "/features/carrier", "is required"),
        ({"features": {"carrier": {"code": "UA"}}}, "/features/carrier", "this is an object"),
        ({"features": [1]}, "/features", "this is a list"),
        ({"kind": "praise"}, "/kind", "'correction'"),
        ({"kind": None}, "/kind", "kind is missing"),
        ({"rating": 6}, "/rating", "less than or equal to 5"),
        ({"rating": "4"}, "/rating", "this is '4'"),
        ({"rating": 4.5}, "/rating", "this is a number"),
        ({"comment": "x" * 2001}, "/comment", "at most 2000 characters"),
        ({"user_id": ""}, "/user_id", "at least 1 character"),
        ({"event_id": "7"}, "/event_id", "UUID"),
        ({"occurred_at": "yesterday"}, "/occurred_at", "datetime"),
        ({"occurred_at": "2013-03-01T12:00:00"}, "/occurred_at", "timezone"),
        ({"occurred_at": "0001-01-01T00:00:00+01:00"}, "/occurred_at", "outside the years"),
        ({"model": None}, "", "model is missing"),
        ({"features": None}, "", "an example needs features and a label"),
        ({"audited": True}, "/audited", "audited is filled in by the server; leave it out"),
        ({"received_at": "2013-03-01T12:00:00Z"}, "/received_at", "filled in by the server"),
        ({"lable": "late"}, "/lable", "did you mean label?"),
        ({"zzz": 1}, "/zzz", "there is no field zzz; there are:"),
    ],
)
async def test_what_does_not_fit_is_named_with_what_was_found_and_what_is_allowed(service, changes, pointer, told):
    answer = await service.post(example(**changes))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in {error["pointer"]: error["detail"] for error in answer.json()["errors"]}[pointer]
    assert service.publishing.events == []


async def test_everything_that_is_wrong_is_named_at_once(service):
    answer = await service.post(example(label="tardy", rating=9, features={"carrier": "XX", "distance": -1}))
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert pointers == {"/label", "/rating", "/features/carrier", "/features/distance"}


async def test_an_unknown_model_is_404_and_the_known_ones_are_named(service):
    answer = await service.post(example(model="trains"))
    assert answer.status_code == 404
    assert "known models: delays, flights" in answer.json()["detail"]
    assert answer.json()["errors"][0]["pointer"] == "/model"


async def test_a_model_that_was_added_this_moment_is_looked_for_and_found(service):
    service.appearing = ["name: trains\ntask: regression\nlabel: {name: m}\nfeatures: [{name: d, type: number}]"]
    assert (await service.post(example(model="trains", features={"d": 1}, label=2))).status_code == 202
    assert service.looks == 1


def forged(token: str) -> str:
    """With another signature; its last character would not do, since a part of its bits stands for nothing."""
    at = len(token) - 10
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("nonsense", "no feedback token"),
        (lambda service: forged(service.token()), "signature"),
        (
            lambda service: service.token(issued_at_s=int((datetime.now(UTC) - timedelta(days=91)).timestamp())),
            "expired",
        ),
    ],
)
async def test_a_forged_malformed_or_expired_token_is_401(service, token, told):
    text = token if isinstance(token, str) else token(service)
    answer = await service.post({"kind": "confirmation", "feedback_token": text})
    assert answer.status_code == 401
    assert told in answer.json()["detail"]
    assert answer.json()["errors"][0]["pointer"] == "/feedback_token"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"model": "delays"}, "/model"),
        ({"prediction_id": EVENT_ID}, "/prediction_id"),
        ({"label": "on_time"}, "/label"),
    ],
)
async def test_what_disagrees_with_the_token_is_422(service, changes, pointer):
    answer = await service.post({"kind": "confirmation", "feedback_token": service.token(), **changes})
    assert answer.status_code == 422
    assert pointer in {error["pointer"] for error in answer.json()["errors"]}


async def test_where_tokens_are_required_only_those_who_got_a_prediction_teach(make_service):
    strict = make_service(require_token=True)
    assert (await strict.post({"kind": "confirmation", "feedback_token": strict.token()})).status_code == 202
    refused = await strict.post(
        {"kind": "correction", "model": "flights", "prediction_id": PREDICTION_ID, "label": "late"}
    )
    assert refused.status_code == 401
    refused = await strict.post(example())
    assert refused.status_code == 401
    assert "examples are not taken here" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (BrokerAway("x"), 503, "nothing was stored"),
        (Unconfirmed("x"), 503, "not confirmed as stored. Send it again with the same event_id"),
        (Crowded("x"), 429, "this was not stored"),
    ],
)
async def test_what_kafka_did_not_take_is_told_with_the_id_to_send_it_again_under(service, error, status, told):
    service.publishing.error = error
    answer = await service.post(example())
    assert answer.status_code == status
    assert int(answer.headers["retry-after"]) >= 1
    assert told in answer.json()["detail"]
    assert UUID(answer.json()["event_id"])


async def test_a_key_needs_the_role_to_post(make_service, keys_file):
    writer, _ = key_file.create(keys_file, ["feedback:write"])
    reader, _ = key_file.create(keys_file, ["read"])
    service = make_service(keys_file=keys_file)
    assert (await service.post(example())).status_code == 401
    assert (await service.post(example(), headers={"X-API-Key": reader})).status_code == 403
    assert (await service.post(example(), headers={"Authorization": f"Bearer {writer}"})).status_code == 202


async def test_the_callers_trace_goes_on(service):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await service.post(example(), headers={"traceparent": parent})
    await service.post(example())
    first, second = service.publishing.traceparents
    assert first.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert first != parent
    assert len(second) == len(parent)


async def test_browsers_of_configured_origins_may_ask(make_service):
    service = make_service(cors_origins=("https://app.example",))
    allowed = await service.post(example(), headers={"Origin": "https://app.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    other = await service.post(example(), headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
    asked = await service.client.options(
        "/v1/feedback", headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    )
    assert asked.status_code == 200


async def test_other_methods_are_405(service):
    answer = await service.client.get("/v1/feedback")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_unforeseen_error_is_a_500_without_internals(service):
    service.publishing.error = RuntimeError("secret")
    answer = await service.post(example())
    assert answer.status_code == 500
    assert "secret" not in answer.text


async def test_readiness_names_kafka(service):
    assert (await service.client.get("/readyz")).status_code == 200
    service.trouble = "Kafka is unavailable; check KAFKA_BOOTSTRAP_SERVERS"
    answer = await service.client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]) == (503, {"kafka": service.trouble})
    assert (await service.client.get("/healthz")).status_code == 200


async def test_what_happened_is_counted(service):
    await service.post(example())
    await service.post(example(label="tardy"))
    text = (await service.client.get("/metrics")).text
    for line in (
        'flywheel_ingest_events_accepted_total{model="flights"}',
        'flywheel_ingest_events_refused_total{reason="does_not_fit"}',
        'flywheel_ingest_requests_total{endpoint="/v1/feedback",status="202"}',
        "flywheel_ingest_publish_seconds_count",
        "flywheel_ingest_kafka_up 1.0",
    ):
        assert line in text
