"""The feedback token: what inference hands out with an answer, and ingest believes when it comes back.

A token is `base64url(payload) "." base64url(HMAC-SHA256(key, payload))` without padding. It says which
version answered what, and whether feedback was asked for, so feedback is credited with no join.
"""

import binascii
import hashlib
import hmac
import json
import math
from collections.abc import Iterable

import msgspec

_SIGNATURE_CHARS = 43  # 32 bytes in base64url without padding
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")


class TokenError(ValueError):
    """A token that must not be believed. The text says why, for the client."""


class FeedbackToken(msgspec.Struct, frozen=True, array_like=True):
    """What a token vouches for. `issued_at_s` is Unix time in seconds by the server's clock."""

    prediction_id: str
    model: str
    model_version: str
    variant: str
    predicted: str | float
    audited: bool
    issued_at_s: int


_DECODER = msgspec.json.Decoder(FeedbackToken)


class _Mac:
    """HMAC-SHA256 (RFC 2104) with the key's two blocks hashed beforehand: a third of `hmac.digest`'s time."""

    def __init__(self, key: bytes) -> None:
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def __call__(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


class TokenKeys:
    """Keys derived from FEEDBACK_TOKEN_KEY: one signs tokens, another hides user ids.

    Deriving them (HMAC with a label) keeps a user hash from ever being usable as a signature.
    """

    def __init__(self, secret: str) -> None:
        """Raises ValueError for a secret under 16 characters."""
        if len(secret) < 16:
            raise ValueError("FEEDBACK_TOKEN_KEY needs at least 16 characters; `openssl rand -hex 32` makes one")
        self._mac = _Mac(hmac.digest(secret.encode(), b"flywheel/feedback-token", hashlib.sha256))
        self._user_mac = _Mac(hmac.digest(secret.encode(), b"flywheel/user-hash", hashlib.sha256))

    def sign(self, token: FeedbackToken) -> str:
        """The token as URL-safe text."""
        fields = [getattr(token, name) for name in FeedbackToken.__struct_fields__]
        payload = _b64(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode())
        return (payload + b"." + _b64(self._mac(payload))).decode()

    def signer(self, model: str, model_version: str, variant: str) -> "TokenSigner":
        """Signs the tokens of one version's answers: the same text as `sign`, in a third of the time."""
        return TokenSigner(self._mac, model, model_version, variant)

    def verify(self, text: str, *, now_s: float, max_age_s: float) -> FeedbackToken:
        """What `text` vouches for. Raises TokenError when it is malformed, forged or older than `max_age_s`."""
        payload, _, signature = text.encode("utf-8", "replace").rpartition(b".")
        if not payload or len(signature) != _SIGNATURE_CHARS:
            raise TokenError("this is no feedback token; send the feedback_token of the prediction as it came")
        if not hmac.compare_digest(signature, _b64(self._mac(payload))):
            raise TokenError("the feedback token's signature is wrong; send the token of the prediction unchanged")
        try:
            token = _DECODER.decode(binascii.a2b_base64(payload.translate(_STANDARD) + b"=="))
        except (ValueError, msgspec.MsgspecError) as exc:
            raise TokenError("the feedback token's content is unknown; ask for a new prediction") from exc
        if now_s - token.issued_at_s > max_age_s:
            raise TokenError("the feedback token has expired; feedback on this prediction is no longer taken")
        return token

    def user_hash(self, user_id: str) -> str:
        """32 hex digits that stand for `user_id` wherever it is stored."""
        return self._user_mac(user_id.encode()).hex()[:32]


class TokenSigner:
    """Signs what one version answers. The ends of its tokens repeat within a second, so they are kept.

    Safe to share among threads.
    """

    def __init__(self, mac: _Mac, model: str, model_version: str, variant: str) -> None:
        self._mac = mac
        self._about = (model, model_version, variant)
        self._kept: tuple[int, dict[tuple[str, bool], bytes]] = (0, {})

    def sign(self, prediction_id: str, predicted: str | float, audited: bool, issued_at_s: int) -> str:
        """The token's URL-safe text. `prediction_id` is a UUID in its usual 36 characters."""
        end = self._kept_end(predicted, audited, issued_at_s)
        # `["` + 36 characters + `"` are 39 bytes, a multiple of 3: base64 of both parts may be joined.
        payload = _url_safe(f'["{prediction_id}"'.encode()) + end
        return (payload + b"." + _b64(self._mac(payload))).decode()

    def _kept_end(self, predicted: str | float, audited: bool, issued_at_s: int) -> bytes:
        if not isinstance(predicted, str):  # numbers hardly repeat, and 0.0 would pass for -0.0
            return self._end(predicted, audited, issued_at_s)
        kept = self._kept
        if kept[0] != issued_at_s:
            kept = self._kept = (issued_at_s, {})
        end = kept[1].get((predicted, audited))
        if end is None:
            end = kept[1][predicted, audited] = self._end(predicted, audited, issued_at_s)
        return end

    def _end(self, predicted: str | float, audited: bool, issued_at_s: int) -> bytes:
        rest = json.dumps([*self._about, predicted, audited, issued_at_s], ensure_ascii=False, separators=(",", ":"))
        return _url_safe(f",{rest[1:]}".encode()).rstrip(b"=")


def _url_safe(raw: bytes) -> bytes:
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE)


def _b64(raw: bytes) -> bytes:
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE, b"=")


def audits_drawn(prediction_ids: Iterable[str], audit_percent: float) -> list[bool]:
    """`audit_drawn` for each."""
    sha256 = hashlib.sha256
    # A draw is below the limit exactly when it is below the next whole number, as 8 bytes in order.
    limit = math.ceil(audit_percent / 100.0 * 2.0**64)
    if limit >= 2**64:
        return [True for _ in prediction_ids]
    below = limit.to_bytes(8, "big")
    return [sha256(one_id.encode()).digest()[:8] < below for one_id in prediction_ids]


def audit_drawn(prediction_id: str, audit_percent: float) -> bool:
    """Whether feedback on this prediction is asked for: a draw that anyone can check.

    The first 8 bytes of SHA-256(prediction_id), big-endian, over 2^64, compared with the share.
    """
    draw = int.from_bytes(hashlib.sha256(prediction_id.encode()).digest()[:8], "big")
    return draw < audit_percent / 100.0 * 2.0**64
