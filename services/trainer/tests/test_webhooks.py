import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import httpx
import pytest

from flywheel_schemas.events import ModelAction, ModelUpdated
from kafka_runtime.errors import Poison, Retryable
from kafka_runtime.record import Record
from trainer.adapters.webhooks import GIVE_UP_AFTER, Webhook, group, secret_bytes, signature

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


def record(at: datetime = NOW, value: bytes | None = None) -> Record:
    event = ModelUpdated(
        model="flights",
        model_version="5",
        action=ModelAction.CANARY,
        traffic_percent=25.0,
        run_id="r",
        training_set_hash="h",
        artifact_uri="s3://m/5",
        artifact_sha256="0" * 64,
        occurred_at=at,
        sequence=7,
    )
    return Record("model-updated", 0, 0, b"flights", event.encode() if value is None else value)


def webhook(answer: Callable[[httpx.Request], httpx.Response]) -> Webhook:
    client = httpx.Client(transport=httpx.MockTransport(answer))
    return Webhook("https://example.org/hook", secret_bytes(SECRET), lambda: NOW, client)


def test_a_receiver_can_verify_what_it_got() -> None:
    got: list[httpx.Request] = []
    webhook(lambda request: got.append(request) or httpx.Response(204))(record())  # type: ignore[func-returns-value]
    [request] = got
    signed = b".".join([b"flights.7", request.headers["webhook-timestamp"].encode(), request.content])
    expected = base64.b64encode(hmac.new(b"k" * 32, signed, sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    assert request.headers["webhook-id"] == "flights.7"
    body = json.loads(request.content)
    assert (body["type"], body["data"]["model_version"], body["data"]["traffic_percent"]) == ("model.updated", "5", 25)


def test_the_example_of_the_specification_comes_out() -> None:
    key = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    found = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
def test_what_was_not_taken_is_sent_again(status: int) -> None:
    with pytest.raises(Retryable, match=str(status)):
        webhook(lambda _: httpx.Response(status))(record())


def test_an_address_that_does_not_answer_is_tried_again() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(Retryable, match="refused"):
        webhook(away)(record())


def test_after_days_nobody_waits_any_more_and_a_receiver_that_is_gone_is_left_alone() -> None:
    webhook(lambda _: httpx.Response(500))(record(NOW - GIVE_UP_AFTER - timedelta(seconds=1)))
    webhook(lambda _: httpx.Response(410))(record())


def test_nonsense_is_a_dead_letter_and_a_tombstone_nothing() -> None:
    with pytest.raises(Poison):
        webhook(lambda _: httpx.Response(204))(record(value=b"{}"))
    webhook(lambda _: httpx.Response(500))(Record("model-updated", 0, 0, b"flights", None))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "c" * 40, "whsec_!!!!"])
def test_a_secret_that_would_sign_nothing_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        secret_bytes(secret)


def test_each_address_has_a_group_of_its_own() -> None:
    assert group("https://a.example") != group("https://b.example")
