import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel_schemas.tokens import FeedbackToken, TokenError, TokenKeys, audit_drawn, audits_drawn

SECRET = "0123456789abcdef"
KEYS = TokenKeys(SECRET)
TOKEN = FeedbackToken("0b2f0c1e-6a9e-4c53-9a0e-2f4f3a1f0001", "flights", "3", "champion", "late", True, 1_764_000_000)
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_tokens = st.builds(
    FeedbackToken,
    prediction_id=st.uuids().map(str),
    model=_text,
    model_version=_text,
    variant=st.sampled_from(["champion", "challenger", "shadow"]),
    predicted=_text | st.floats(allow_nan=False, allow_infinity=False),
    audited=st.booleans(),
    issued_at_s=st.integers(0, 2**40),
)


def verify(text: str, keys: TokenKeys = KEYS, now_s: float = TOKEN.issued_at_s) -> FeedbackToken:
    return keys.verify(text, now_s=now_s, max_age_s=60.0)


def under_our_signature(content: bytes) -> str:
    """A token with any content at all that carries a right signature, made by the standard library's HMAC."""
    key = hmac.digest(SECRET.encode(), b"flywheel/feedback-token", hashlib.sha256)
    payload = urlsafe_b64encode(content).rstrip(b"=")
    return (payload + b"." + urlsafe_b64encode(hmac.digest(key, payload, hashlib.sha256)).rstrip(b"=")).decode()


@given(token=_tokens)
def test_what_was_signed_is_what_is_verified(token: FeedbackToken) -> None:
    assert KEYS.verify(KEYS.sign(token), now_s=token.issued_at_s, max_age_s=0.0) == token


@given(token=_tokens)
def test_a_versions_signer_writes_the_same_text(token: FeedbackToken) -> None:
    signer = KEYS.signer(token.model, token.model_version, token.variant)
    for _ in range(2):
        text = signer.sign(token.prediction_id, token.predicted, token.audited, token.issued_at_s)
        assert text == KEYS.sign(token)


def test_the_signature_is_the_standard_hmac() -> None:
    content = msgspec.json.encode(TOKEN)
    assert under_our_signature(content) == KEYS.sign(TOKEN)


def test_a_token_fits_into_a_url() -> None:
    token = msgspec.structs.replace(TOKEN, predicted="überfällig / 遅延 ???>>>")
    text = KEYS.sign(token)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert verify(text) == token


@given(position=st.integers(0, 10_000), replacement=st.characters())
def test_any_other_character_anywhere_makes_it_a_forgery(position: int, replacement: str) -> None:
    text = KEYS.sign(TOKEN)
    at = position % len(text)
    forged = text[:at] + replacement + text[at + 1 :]
    if forged == text:
        return
    with pytest.raises(TokenError):
        verify(forged)


def test_every_truncation_is_refused() -> None:
    text = KEYS.sign(TOKEN)
    for cut in range(len(text)):
        with pytest.raises(TokenError):
            verify(text[:cut])
        with pytest.raises(TokenError):
            verify(text[cut + 1 :])


@given(text=st.text())
def test_any_text_at_all_is_a_token_error_and_nothing_else(text: str) -> None:
    with pytest.raises(TokenError):
        verify(text)


def test_another_key_signs_no_token_of_ours() -> None:
    with pytest.raises(TokenError, match="signature is wrong"):
        verify(KEYS.sign(TOKEN), TokenKeys("another secret, long enough"))


def test_a_token_lives_as_long_as_allowed_and_no_longer() -> None:
    text = KEYS.sign(TOKEN)
    assert verify(text, now_s=TOKEN.issued_at_s + 60.0) == TOKEN
    with pytest.raises(TokenError, match="expired"):
        verify(text, now_s=TOKEN.issued_at_s + 60.5)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[1,2,3,4,5,6,7]",
        b'["p","m","1","champion","late",true]',
        b'["p","m","1","champion","late",1,2]',
        b'["p","m","1","champion",null,true,2]',
        b'["p","m","1","champion","late",true,1e999]',
        b'["p","m","1","champion","late",true,2]x',
        b"[" * 100_000,
    ],
)
def test_content_that_we_never_write_is_a_token_error_even_under_our_signature(content: bytes) -> None:
    with pytest.raises(TokenError):
        verify(under_our_signature(content))


def test_a_short_secret_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="openssl rand"):
        TokenKeys("too short")


def test_a_user_hash_hides_the_user_and_never_serves_as_a_signature() -> None:
    hashed = KEYS.user_hash("ada@example.org")
    assert hashed == KEYS.user_hash("ada@example.org") != KEYS.user_hash("bob@example.org")
    assert hashed != TokenKeys("another secret, long enough").user_hash("ada@example.org")
    assert len(hashed) == 32
    assert set(hashed) <= set("0123456789abcdef")
    assert "ada" not in hashed


@pytest.mark.parametrize("percent", [0.0, 2.0, 50.0, 100.0])
def test_the_audit_draw_follows_the_share_and_can_be_checked(percent: float) -> None:
    ids = [str(UUID(int=i)) for i in range(4000)]
    drawn = [audit_drawn(i, percent) for i in ids]
    expected: list[Any] = [
        int.from_bytes(hashlib.sha256(i.encode()).digest()[:8], "big") / 2**64 < percent / 100 for i in ids
    ]
    assert drawn == expected
    assert abs(sum(drawn) / len(drawn) * 100 - percent) < 3.0


@given(st.lists(st.uuids()), st.floats(0.0, 100.0) | st.sampled_from([0.0, 2.0, 100.0]))
def test_draws_of_many_are_the_draws_of_each(ids: list[UUID], percent: float) -> None:
    texts = [str(one_id) for one_id in ids]
    assert audits_drawn(texts, percent) == [audit_drawn(text, percent) for text in texts]
