"""model-updated over HTTP, for services without Kafka: signed, in order, and again until it is taken.

Signature and headers are those of the Standard Webhooks specification (standardwebhooks.com, version 1.0), so its
libraries verify them. Each address has a consumer group of its own: one that is down keeps no other waiting.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta

import httpx
from pydantic import ValidationError

from flywheel_schemas.events import ModelUpdated
from kafka_runtime.errors import Poison, Retryable
from kafka_runtime.record import Record
from telemetry import logging, metrics

PREFIX = "whsec_"
GIVE_UP_AFTER = timedelta(days=3)
_TIMEOUT_S = 15.0
_GONE = 410
_LOG = logging.get("trainer")
_SENT = metrics.counter("flywheel_webhooks_total", "Webhooks by what became of them.", ("outcome",))


def secret_bytes(secret: str) -> bytes:
    """The key in `whsec_<base64>`. Raises ValueError unless it has 24 to 64 bytes."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as exc:
        raise ValueError("WEBHOOK_SECRET is whsec_ and base64") from exc
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("WEBHOOK_SECRET is whsec_ and the base64 of 24 to 64 bytes: `openssl rand -base64 32`")
    return key


def signature(key: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over id, timestamp and body, joined by dots."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def group(url: str) -> str:
    """The consumer group of an address."""
    return f"flywheel-webhook-{hashlib.sha256(url.encode()).hexdigest()[:12]}"


class Webhook:
    """Sends each event to one address. Handles a record: returns when it was taken or given up; raises Retryable."""

    def __init__(self, url: str, key: bytes, now: Callable[[], datetime], http: httpx.Client | None = None) -> None:
        self._url = url
        self._key = key
        self._now = now
        self._http = http or httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False)

    def __call__(self, record: Record) -> None:
        """One event of model-updated; a tombstone is passed over."""
        if record.value is None:
            return
        try:
            event = ModelUpdated.parse(record.value)
        except ValidationError as exc:
            raise Poison("not a model-updated event") from exc
        told: dict[str, object] = {"model": event.model, "sequence": event.sequence, "url": self._url}
        try:
            status = self._send(event, record.value)
        except httpx.HTTPError as exc:
            self._again(event, told, str(exc) or type(exc).__name__)
            return
        if status < 300 or status == _GONE:
            _SENT.labels("taken" if status != _GONE else "gone").inc()
            _LOG.info("webhook_taken", status=status, **told)
        else:
            self._again(event, told, f"HTTP {status}")

    def _send(self, event: ModelUpdated, value: bytes) -> int:
        now = self._now()
        message_id = f"{event.model}.{event.sequence if event.sequence is not None else event.occurred_at.isoformat()}"
        body = json.dumps(
            {"type": "model.updated", "timestamp": event.occurred_at.isoformat(), "data": json.loads(value)}
        ).encode()
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature(self._key, message_id, int(now.timestamp()), body),
        }
        return self._http.post(self._url, content=body, headers=headers).status_code

    def _again(self, event: ModelUpdated, told: dict[str, object], why: str) -> None:
        """Raises Retryable, unless the event is so old that nobody waits for it any more."""
        if self._now() - event.occurred_at > GIVE_UP_AFTER:
            _SENT.labels("given_up").inc()
            _LOG.error("webhook_given_up", reason=why, **told)
            return
        _SENT.labels("failed").inc()
        raise Retryable(f"{self._url} did not take the webhook: {why}")
