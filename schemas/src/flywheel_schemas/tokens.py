"""The feedback token: what inference hands out with an answer, and ingest believes when it comes back.

A token is `base64url(payload) "." base64url(HMAC-SHA256(key, payload))` without padding. It says which
version answered what, and whether feedback was asked for, so feedback is credited with no join.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

_SIGNATURE_CHARS = 43  # 32 bytes in base64url without padding
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class TokenError(ValueError):
    """A token that must not be believed. The text says why, for the client."""


@dataclass(frozen=True, slots=True)
class FeedbackToken:
    """What a token vouches for. `issued_at_s` is Unix time in seconds by the server's clock."""

    prediction_id: str
    model: str
    model_version: str
    variant: str
    predicted: str | float
    audited: bool
    issued_at_s: int


class TokenKeys:
    """Keys derived from FEEDBACK_TOKEN_KEY: one signs tokens, another hides user ids.

    Deriving them (HMAC with a label) keeps a user hash from ever being usable as a signature.
    """

    def __init__(self, secret: str) -> None:
        """Raises ValueError for a secret under 16 characters."""
        if len(secret) < 16:
            raise ValueError("FEEDBACK_TOKEN_KEY needs at least 16 characters; `openssl rand -hex 32` makes one")
        self._sign_key = hmac.digest(secret.encode(), b"flywheel/feedback-token", hashlib.sha256)
        self._user_key = hmac.digest(secret.encode(), b"flywheel/user-hash", hashlib.sha256)

    def sign(self, token: FeedbackToken) -> str:
        """The token as URL-safe text."""
        payload = _b64(
            json.dumps(
                [
                    token.prediction_id,
                    token.model,
                    token.model_version,
                    token.variant,
                    token.predicted,
                    token.audited,
                    token.issued_at_s,
                ],
                ensure_ascii=False,
                separators=(",", ":"),
            ).encode()
        )
        return f"{payload}.{_b64(self._signature(payload))}"

    def signer(self, model: str, model_version: str, variant: str) -> "TokenSigner":
        """Signs the tokens of one version's answers: the same text as `sign`, in a third of the time."""
        return TokenSigner(self._sign_key, model, model_version, variant)

    def verify(self, text: str, *, now_s: float, max_age_s: float) -> FeedbackToken:
        """What `text` vouches for. Raises TokenError when it is malformed, forged or older than `max_age_s`."""
        payload, dot, signature = text.rpartition(".")
        if not dot or not text.isascii() or len(signature) != _SIGNATURE_CHARS:
            raise TokenError("this is no feedback token; send the feedback_token of the prediction as it came")
        if not hmac.compare_digest(signature, _b64(self._signature(payload))):
            raise TokenError("the feedback token's signature is wrong; send the token of the prediction unchanged")
        fields: Any = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        token = FeedbackToken(*fields)
        if now_s - token.issued_at_s > max_age_s:
            raise TokenError("the feedback token has expired; feedback on this prediction is no longer taken")
        return token

    def user_hash(self, user_id: str) -> str:
        """32 hex digits that stand for `user_id` wherever it is stored."""
        return hmac.digest(self._user_key, user_id.encode(), hashlib.sha256).hex()[:32]

    def _signature(self, payload: str) -> bytes:
        return hmac.digest(self._sign_key, payload.encode(), hashlib.sha256)


class TokenSigner:
    """Signs what one version answers. The ends of its tokens repeat within a second, so they are kept.

    A signer belongs to one thread.
    """

    def __init__(self, sign_key: bytes, model: str, model_version: str, variant: str) -> None:
        self._sign_key = sign_key
        self._about = (model, model_version, variant)
        self._second = 0
        self._ends: dict[tuple[str, bool], bytes] = {}

    def sign(self, prediction_id: str, predicted: str | float, audited: bool, issued_at_s: int) -> str:
        """The token's URL-safe text. `prediction_id` is a UUID in its usual 36 characters."""
        end = self._kept_end(predicted, audited, issued_at_s)
        # `["` + 36 characters + `"` are 39 bytes, a multiple of 3: base64 of both parts may be joined.
        payload = _url_safe(f'["{prediction_id}"'.encode()) + end
        signature = _url_safe(hmac.digest(self._sign_key, payload, hashlib.sha256))
        return (payload + b"." + signature[:_SIGNATURE_CHARS]).decode()

    def _kept_end(self, predicted: str | float, audited: bool, issued_at_s: int) -> bytes:
        if not isinstance(predicted, str):  # numbers hardly repeat, and 0.0 would pass for -0.0
            return self._end(predicted, audited, issued_at_s)
        if issued_at_s != self._second:
            self._second, self._ends = issued_at_s, {}
        end = self._ends.get((predicted, audited))
        if end is None:
            end = self._ends[predicted, audited] = self._end(predicted, audited, issued_at_s)
        return end

    def _end(self, predicted: str | float, audited: bool, issued_at_s: int) -> bytes:
        rest = json.dumps([*self._about, predicted, audited, issued_at_s], ensure_ascii=False, separators=(",", ":"))
        return _url_safe(f",{rest[1:]}".encode()).rstrip(b"=")


def _url_safe(raw: bytes) -> bytes:
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def audit_drawn(prediction_id: str, audit_percent: float) -> bool:
    """Whether feedback on this prediction is asked for: a draw that anyone can check.

    The first 8 bytes of SHA-256(prediction_id), big-endian, over 2^64, compared with the share.
    """
    draw = int.from_bytes(hashlib.sha256(prediction_id.encode()).digest()[:8], "big")
    return draw < audit_percent / 100.0 * 2.0**64
