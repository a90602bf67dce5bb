from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flywheel_schemas.events import Feedback, FeedbackRequest, Prediction, Variant, missing_parts

ID = UUID("0b2f0c1e-6a9e-4c53-9a0e-2f4f3a1f0001")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
_PARTS = {"prediction_id": ID, "feedback_token": "t", "features": {"a": 1.0}, "label": "late", "rating": 3}
_KINDS = ["correction", "confirmation", "rating", "example"]


def feedback(**fields: Any) -> Feedback:
    always = {"event_id": ID, "model": "flights", "source": "api", "occurred_at": NOON, "received_at": NOON}
    return Feedback.model_validate(always | fields, strict=False)


def request(**fields: Any) -> FeedbackRequest:
    return FeedbackRequest.model_validate({"model": "flights"} | fields, strict=False)


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("correction", ["label", "prediction_id"]),
        ("correction", ["label", "feedback_token"]),
        ("correction", ["label", "features"]),
        ("confirmation", ["prediction_id"]),
        ("confirmation", ["feedback_token"]),
        ("rating", ["rating"]),
        ("example", ["features", "label"]),
    ],
)
def test_a_kind_needs_just_these_parts(kind: str, parts: list[str]) -> None:
    feedback(kind=kind, **{part: _PARTS[part] for part in parts})
    for absent in parts:
        with pytest.raises(ValidationError, match=f"an? {kind} needs"):
            feedback(kind=kind, **{part: _PARTS[part] for part in parts if part != absent})


@given(kind=st.sampled_from(_KINDS), parts=st.sets(st.sampled_from(sorted(_PARTS))))
def test_the_rule_as_a_function_and_the_models_agree(kind: str, parts: set[str]) -> None:
    missing = missing_parts(
        kind,
        has_prediction=bool(parts & {"prediction_id", "feedback_token"}),
        has_features="features" in parts,
        has_label="label" in parts,
        has_rating="rating" in parts,
    )
    for make in (feedback, request):
        if missing is None:
            make(kind=kind, **{part: _PARTS[part] for part in parts})
        else:
            with pytest.raises(ValidationError, match=missing[:20]):
                make(kind=kind, **{part: _PARTS[part] for part in parts})


def test_a_client_names_a_model_or_has_a_token_that_does() -> None:
    FeedbackRequest.parse(b'{"kind": "confirmation", "feedback_token": "t"}')
    with pytest.raises(ValidationError, match="name the model, or send the prediction's feedback_token"):
        FeedbackRequest.parse(b'{"kind": "rating", "rating": 3}')


@pytest.mark.parametrize("name", ["model_version", "variant", "predicted", "audited", "received_at", "user_hash"])
def test_a_client_may_not_fill_in_what_the_server_fills_in(name: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        request(kind="rating", rating=3, **{name: "x"})


def test_yesterdays_reader_passes_over_tomorrows_fields() -> None:
    raw = feedback(kind="rating", rating=3).encode()[:-1] + b', "added_later": {"x": 1}}'
    assert Feedback.parse(raw) == feedback(kind="rating", rating=3)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"{",
        b"\xff\xfe",
        b'{"kind": "rating", "model": "flights", "rating": 6}',
        b'{"kind": "rating", "model": "flights", "rating": "5"}',
        b'{"kind": "rating", "model": "flights", "rating": 4.5}',
        b'{"kind": "rating", "model": "flights", "rating": true}',
        b'{"kind": "rating", "model": "Flights", "rating": 5}',
        b'{"kind": "praise", "model": "flights", "rating": 5}',
        b'{"kind": "rating", "model": "flights", "rating": 5, "event_id": "1"}',
        b'{"kind": "rating", "model": "flights", "rating": 5, "occurred_at": "2026-11-24T12:00:00"}',
        b'{"kind": "rating", "model": "flights", "rating": 5, "user_id": ""}',
        b'{"kind": "rating", "model": "flights", "rating": 5, "occurred_at": "0001-01-01T00:00:00+01:00"}',
        b'{"kind": "rating", "model": "flights", "rating": 5, "comment": "\\ud800"}',
        b'{"kind": "rating", "model": "flights", "rating": 5, "comment": "' + b"x" * 2001 + b'"}',
        b'{"kind": "example", "model": "flights", "label": true, "features": {}}',
        b'{"kind": "example", "model": "flights", "label": NaN, "features": {}}',
        b'{"kind": "example", "model": "flights", "label": 1, "features": {"a": Infinity}}',
        b'{"kind": "example", "model": "flights", "label": 1, "features": {"a": [1]}}',
        b'{"kind": "example", "model": "flights", "label": 1, "features": {"not a name": 1}}',
        b'{"kind": "example", "model": "flights", "label": 1, "features": ' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}",
    ],
)
def test_what_is_no_feedback_is_a_validation_error_and_nothing_else(raw: bytes) -> None:
    with pytest.raises(ValidationError):
        FeedbackRequest.parse(raw)


def test_times_are_utc_whatever_zone_they_came_in() -> None:
    event = FeedbackRequest.parse(
        b'{"kind": "rating", "model": "flights", "rating": 5, "occurred_at": "2026-11-24T13:00:00+01:00"}'
    )
    assert event.occurred_at == NOON
    assert b'"2026-11-24T12:00:00Z"' in event.encode()


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        feedback(kind="rating", rating=3).rating = 5  # type: ignore[misc]


_names = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{0,10}\Z")
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_numbers = st.floats(allow_nan=False, allow_infinity=False)
_labels = _text | _numbers
_moments = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))
_features = st.dictionaries(_names, _text | _numbers | st.none(), max_size=5)


@given(
    event=st.builds(
        Prediction,
        prediction_id=st.uuids(),
        model=st.just("m"),
        model_version=_text,
        variant=st.sampled_from(Variant),
        features=_features,
        label=_labels,
        scores=st.none() | st.dictionaries(_text, _numbers, max_size=3),
        audited=st.booleans(),
        user_hash=st.none(),
        occurred_at=_moments,
        latency_ms=_numbers,
    )
)
def test_what_is_encoded_is_what_is_parsed(event: Prediction) -> None:
    assert Prediction.parse(event.encode()) == event
