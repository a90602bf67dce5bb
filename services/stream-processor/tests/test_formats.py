"""The fast way and the contract accept and refuse the same, with the same values."""

import uuid
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel_schemas.events import Feedback, Prediction
from stream_processor.adapters.formats import FeedbackFormat, PredictionFormat
from stream_processor.domain.routing import DeadLetter, Quarantine, Store

from .both_ways import FEEDBACK, ID, PREDICTION, RULES, check_feedback, check_prediction, encoded, feedback_format, hide
from .hostile import ADVERSARIAL, FIELD_NAMES, ODD_VALUES

ODD, FIELDS = st.sampled_from(ODD_VALUES), st.sampled_from(FIELD_NAMES)
CHANGES = st.dictionaries(FIELDS, ODD | st.text() | st.floats() | st.integers() | st.booleans(), max_size=4)
DROPS = st.sets(FIELDS, max_size=3)
MANY = settings(max_examples=100, deadline=None)


@pytest.mark.parametrize("field", FIELD_NAMES)
def test_every_odd_value_of_every_field_is_taken_and_refused_as_the_contract_does(field):
    confirmed = {**FEEDBACK, "kind": "confirmation", "prediction_id": ID, "predicted": "late", "features": None}
    check_feedback(*(encoded({**FEEDBACK, field: value}) for value in ODD_VALUES))
    check_feedback(*(encoded({**confirmed, field: value}) for value in ODD_VALUES))
    check_prediction(*(encoded({**PREDICTION, field: value}) for value in ODD_VALUES))


@MANY
@given(kind=st.sampled_from(["example", "correction", "confirmation", "rating"]), changes=CHANGES, drops=DROPS)
def test_feedback_is_taken_and_refused_as_the_contract_does(kind, changes, drops):
    event = {k: v for k, v in ({**FEEDBACK, "kind": kind, "prediction_id": ID} | changes).items() if k not in drops}
    check_feedback(encoded(event))


@MANY
@given(changes=CHANGES, drops=DROPS)
def test_predictions_are_taken_and_refused_as_the_contract_does(changes, drops):
    check_prediction(encoded({k: v for k, v in ({**PREDICTION} | changes).items() if k not in drops}))


@MANY
@given(value=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**25), 10**25))
def test_numbers_are_read_alike(value):
    check_feedback(encoded({**FEEDBACK, "model": "prices", "features": {"rooms": value}, "label": 3}))
    check_feedback(encoded({**FEEDBACK, "model": "prices", "features": {"rooms": 1}, "label": value}))


@MANY
@given(moment=st.datetimes(timezones=st.just(UTC)))
def test_times_are_read_alike(moment: datetime):
    text = moment.isoformat().replace("+00:00", "Z")
    ((_, row),) = check_feedback(encoded({**FEEDBACK, "occurred_at": text}))
    assert row is not None
    assert row["occurred_at"] == moment


@pytest.mark.parametrize("raw", ADVERSARIAL.values(), ids=ADVERSARIAL.keys())
def test_a_hostile_record_is_taken_and_refused_as_the_contract_does(raw):
    check_feedback(raw)
    check_prediction(raw.replace(b'"event_id"', b'"prediction_id"'))


def test_ordinary_events_go_the_fast_way():
    for event in (
        FEEDBACK,
        {
            **FEEDBACK,
            "kind": "correction",
            "features": None,
            "prediction_id": ID,
            "predicted": "on_time",
            "audited": True,
        },
        {**FEEDBACK, "kind": "confirmation", "label": None, "prediction_id": ID, "predicted": "late", "rating": 5},
        {**FEEDBACK, "model": "prices", "features": {"rooms": 3}, "label": 12},
    ):
        raw = Feedback.model_validate_json(encoded(event)).encode()
        assert check_feedback(raw)[0][1] is not None
    assert check_prediction(Prediction.model_validate_json(encoded(PREDICTION)).encode())[0][1] is not None


@pytest.mark.parametrize(
    ("changes", "outcome", "why"),
    [
        ({"model": "nowhere"}, DeadLetter, "unknown_model"),
        ({"event_id": "x"}, DeadLetter, "unreadable"),
        ({"label": None}, DeadLetter, "unreadable"),
        ({"features": {"carrier": "ZZ"}}, Quarantine, "carrier"),
        ({"features": {"distance": 3}}, Quarantine, "carrier"),
        ({"features": {"carrier": "UA", "distance": -3}}, Quarantine, "distance"),
        ({"label": "maybe"}, Quarantine, "maybe"),
        ({"label": 3.5}, Quarantine, "3.5"),
        ({"predicted": 3.5}, Quarantine, "predicted"),
        ({"kind": "confirmation", "prediction_id": ID, "label": None, "predicted": "maybe"}, Quarantine, "maybe"),
        ({"kind": "correction", "features": None, "feedback_token": "t"}, Quarantine, "ingest"),
        ({"model": "prices", "features": {"rooms": 1}, "label": 1001}, Quarantine, "1001"),
        ({"model": "prices", "features": {"rooms": 1}, "label": "dear"}, Quarantine, "dear"),
    ],
)
def test_what_cannot_be_stored_says_why(changes, outcome, why):
    decision = feedback_format().route(encoded({**FEEDBACK, **changes}))
    assert isinstance(decision, outcome)
    assert why in f"{decision.reason} {getattr(decision, 'detail', '')}"


def test_a_user_is_hashed_wherever_the_event_ends_up():
    format_ = feedback_format()
    stored = format_.route(encoded({**FEEDBACK, "user_id": "ann@example.org"}))
    aside = format_.route(encoded({**FEEDBACK, "user_id": "ann@example.org", "label": "maybe"}))
    nobody = FeedbackFormat(RULES, None).route(encoded({**FEEDBACK, "user_id": "ann@example.org"}))
    assert isinstance(stored, Store) and isinstance(aside, Quarantine) and isinstance(nobody, Store)
    for text in (stored.canonical.decode(), aside.record, nobody.canonical.decode()):
        assert "ann@example.org" not in text
    assert hide("ann@example.org") in aside.record


def test_without_specs_nothing_is_read_the_fast_way():
    assert FeedbackFormat({}, hide).decode([encoded({**FEEDBACK, "model": ""})]) == [None]
    assert PredictionFormat({}).decode([encoded(PREDICTION), None]) == [None, None]


def test_of_many_rows_only_the_odd_ones_are_refused():
    format_ = feedback_format()
    raws = [encoded({**FEEDBACK, "event_id": str(uuid.uuid4())}) for _ in range(5)]
    raws[2] = encoded({**FEEDBACK, "occurred_at": "2026-02-30T00:00:00Z"})
    raws[4] = encoded({**FEEDBACK, "user_hash": "Z" * 32})
    columns = format_.columns("flights", format_.decode(raws), np.zeros(5, dtype=np.int64))
    assert columns.refused.tolist() == [False, False, True, False, True]
