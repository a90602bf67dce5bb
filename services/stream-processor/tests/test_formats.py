"""The fast way and the contract accept and refuse the same, with the same values."""

import functools
import json
import uuid
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel_schemas.events import Feedback, Prediction
from flywheel_schemas.spec import parse_spec
from stream_processor.adapters.formats import FeedbackFormat, PredictionFormat
from stream_processor.domain.routing import DeadLetter, ModelRules, Quarantine, Store, resolved_label

BINARY = """
name: flights
task: binary
label: {name: late, values: [on_time, late], positive: late}
features:
  - {name: carrier, type: category, values: [UA, AA, "é", "\\U0001F600"], required: true}
  - {name: distance, type: number, range: [0, 6000]}
"""
REGRESSION = """
name: prices
task: regression
label: {name: price, range: [-10, 1000]}
features:
  - {name: rooms, type: number, required: true}
"""
RULES = {spec.name: ModelRules.of(spec) for spec in (parse_spec(BINARY), parse_spec(REGRESSION))}
ID = "0b0c9f8e-1111-4222-8333-444455556666"
FEEDBACK = {
    "event_id": ID,
    "model": "flights",
    "kind": "example",
    "source": "api",
    "label": "late",
    "occurred_at": "2026-03-01T12:00:00Z",
    "received_at": "2026-03-01T12:00:01.000001Z",
    "features": {"carrier": "UA", "distance": 12.5},
}
PREDICTION = {
    "prediction_id": ID,
    "model": "flights",
    "model_version": "3",
    "variant": "champion",
    "label": "late",
    "features": {"carrier": "UA"},
    "scores": {"on_time": 0.25, "late": 0.75},
    "audited": False,
    "occurred_at": "2026-03-01T12:00:00Z",
    "latency_ms": 1.5,
}


def hide(user: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, user).hex


def fast(format_, raws: list[bytes]):
    """The row that the fast way makes of each record, or None where it leaves it to the contract."""
    found: list[dict | None] = [None] * len(raws)
    decoded = format_.decode(raws)
    for model in RULES:
        places = [at for at, row in enumerate(decoded) if row is not None and format_.model_of(row) == model]
        columns = format_.columns(model, [decoded[at] for at in places], np.full(len(places), 1_000_000))
        for at, row, halves, refused in zip(
            places, columns.table.to_pylist(), columns.ids, columns.refused, strict=True
        ):
            number = int.from_bytes(halves.astype(">u8").tobytes())
            found[at] = None if refused else {**row, "_id": uuid.UUID(int=number)}
    return found


def expected_feedback(event: Feedback):
    return {
        "event_id": str(event.event_id),
        "_id": event.event_id,
        "prediction_id": str(event.prediction_id) if event.prediction_id else None,
        "model_version": event.model_version,
        "variant": event.variant,
        "predicted": event.predicted,
        "audited": event.audited,
        "label": resolved_label(event.kind, event.label, event.predicted),
        "rating": event.rating,
        "comment": event.comment,
        "user_hash": event.user_hash if event.user_id is None else hide(event.user_id),
        "key_id": event.key_id,
        "kind": event.kind,
        "source": event.source,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "event_date": event.received_at.date(),
    }


@functools.cache
def feedback_format():
    return FeedbackFormat(RULES, hide)


@functools.cache
def prediction_format():
    return PredictionFormat(RULES)


def check_feedback(*raws: bytes):
    """Decision and fast row of each record, after comparing them with each other and with the contract."""
    format_ = feedback_format()
    rows, decisions = fast(format_, list(raws)), [format_.route(raw) for raw in raws]
    kept = iter(fast(format_, [one.canonical for one in decisions if isinstance(one, Store)]))
    for raw, row, decision in zip(raws, rows, decisions, strict=True):
        assert row is None or isinstance(decision, Store), (raw, decision)
        if isinstance(decision, Store):
            canonical, event = next(kept), Feedback.parse(raw)
            assert canonical is not None, decision.canonical
            expected = expected_feedback(event)
            assert {name: canonical[name] for name in expected} == expected
            for name in RULES[event.model].spec.feature_names:
                assert canonical[name] == (event.features or {}).get(name)
            assert row is None or row == canonical
    return list(zip(decisions, rows, strict=True))


def check_prediction(*raws: bytes):
    """As `check_feedback`, for predictions."""
    format_ = prediction_format()
    rows, decisions = fast(format_, list(raws)), [format_.route(raw) for raw in raws]
    kept = iter(fast(format_, [one.canonical for one in decisions if isinstance(one, Store)]))
    for raw, row, decision in zip(raws, rows, decisions, strict=True):
        assert row is None or isinstance(decision, Store), (raw, decision)
        if isinstance(decision, Store):
            canonical, event = next(kept), Prediction.parse(raw)
            assert canonical is not None, decision.canonical
            assert (canonical["prediction_id"], canonical["predicted"]) == (str(event.prediction_id), event.label)
            assert (canonical["occurred_at"], canonical["latency_ms"]) == (event.occurred_at, event.latency_ms)
            scores = event.scores and [(name, event.scores[name]) for name in RULES[event.model].spec.classes]
            assert canonical["scores"] == (scores if event.scores is not None else None)
            assert canonical["score"] == (event.scores or {}).get(event.label)
            assert row is None or row == canonical
    return list(zip(decisions, rows, strict=True))


def encoded(event) -> bytes:
    return json.dumps(event).encode()


ODD_VALUES = [
    None,
    True,
    0,
    1,
    5,
    6,
    -1,
    1.0,
    5.0,
    2.5,
    1e300,
    10**30,
    float("nan"),
    float("inf"),
    "",
    " ",
    "late",
    "on_time",
    "LATE",
    "é",
    "\u0000",
    "\ud800",
    "a" * 257,
    [],
    {},
    [1],
    {"carrier": "UA"},
    {"carrier": 1},
    {"carrier": None},
    {"distance": 1},
    {"carrier": "UA", "distance": -1},
    {"carrier": "UA", "distance": "1"},
    {"carrier": "\U0001f600"},
    {"carrier": "UA", "x": 1},
    {"bad name": 1},
    {"rooms": 3},
    {"on_time": 0.5},
    {"on_time": 0.5, "late": 0.5, "x": 1},
    ID,
    ID.upper(),
    ID.replace("-", ""),
    "{" + ID + "}",
    "urn:uuid:" + ID,
    ID[:-1] + "g",
    "a" * 32,
    "A" * 32,
    "a" * 33,
    "2026-03-01T12:00:00Z",
    "2026-03-01T12:00:00+00:00",
    "2026-03-01T14:00:00+02:00",
    "2026-03-01 12:00:00Z",
    "2026-02-30T12:00:00Z",
    "2026-03-01T12:00:60Z",
    "2026-03-01T24:00:00Z",
    "2026-03-01T12:00:00.5Z",
    "2026-03-01T12:00:00.1234567Z",
    "2026-03-01T12:00:00",
    "2026-03-01T12:00Z",
    "2026-03-01",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "1772366400",
    1772366400,
    "\uff12\uff10\uff12\uff16-03-01T12:00:00Z",
    "2026-03-01t12:00:00z",
    "correction",
    "confirmation",
    "rating",
    "champion",
    "shadow",
    "flights",
    "prices",
    "Flights",
    "a" * 2001,
    "a" * 65,
]
FIELD_NAMES = [
    "event_id",
    "model",
    "kind",
    "source",
    "label",
    "occurred_at",
    "received_at",
    "features",
    "prediction_id",
    "feedback_token",
    "rating",
    "comment",
    "user_id",
    "user_hash",
    "key_id",
    "model_version",
    "variant",
    "predicted",
    "audited",
    "scores",
    "latency_ms",
    "unknown",
]
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


GOOD = encoded(FEEDBACK)
ADVERSARIAL = {
    "empty": b"",
    "null": b"null",
    "a list": b"[" + GOOD + b"]",
    "two objects": GOOD + GOOD,
    "two objects on lines": GOOD + b"\n" + GOOD,
    "a comma behind": GOOD + b",",
    "white space around": b" \n" + GOOD + b" \n\t",
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "invalid UTF-8 in a value": GOOD.replace(b'"api"', b'"a\xffi"'),
    "invalid UTF-8 in a key": GOOD[:-1] + b', "a\xff": 1}',
    "invalid UTF-8 in a category": GOOD.replace(b'"UA"', b'"U\xff"'),
    "overlong UTF-8": GOOD.replace(b'"api"', b'"\xc0\xaf"'),
    "a lone surrogate": GOOD.replace(b'"api"', b'"\\ud800"'),
    "a lone surrogate in a comment": GOOD[:-1] + b', "comment": "\\udfff"}',
    "a surrogate pair": GOOD.replace(b'"api"', b'"\\ud83d\\ude00"'),
    "an escaped category": GOOD.replace(b'"UA"', b'"\\u0055A"'),
    "an escaped key": GOOD.replace(b'"label"', b'"l\\u0061bel"'),
    "a control character": GOOD.replace(b'"api"', b'"a\x01i"'),
    "NaN": GOOD.replace(b"12.5", b"NaN"),
    "Infinity": GOOD.replace(b"12.5", b"Infinity"),
    "a number too large": GOOD.replace(b"12.5", b"1e400"),
    "a number with a leading zero": GOOD.replace(b"12.5", b"012"),
    "a number that ends with a point": GOOD.replace(b"12.5", b"12."),
    "a number that begins with a point": GOOD.replace(b"12.5", b".5"),
    "a number with a plus": GOOD.replace(b"12.5", b"+1"),
    "minus zero": GOOD.replace(b"12.5", b"-0"),
    "a number as id": GOOD.replace(f'"{ID}"'.encode(), b"12345"),
    "a duplicate key": GOOD[:-1] + b', "label": "on_time"}',
    "a duplicate model": GOOD[:-1] + b', "model": "prices"}',
    "the same model twice": GOOD[:-1] + b', "model": "flights"}',
    "a model that comes last": json.dumps(
        {**{k: v for k, v in FEEDBACK.items() if k != "model"}, "model": "flights"}
    ).encode(),
    "a deep unknown field": GOOD[:-1] + b', "x": ' + b"[" * 500 + b"]" * 500 + b"}",
    "a very deep unknown field": GOOD[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "single quotes": GOOD.replace(b'"', b"'"),
    "a comment in the JSON": GOOD[:-1] + b"/* */}",
    "a trailing comma": GOOD[:-1] + b",}",
    "cut off": GOOD[:-5],
    "an unknown model": GOOD.replace(b'"flights"', b'"nowhere"'),
    "an empty model": GOOD.replace(b'"flights"', b'""'),
    "a year zero": GOOD.replace(b'"2026-03-01T12:00:00Z"', b'"0000-03-01T12:00:00Z"'),
    "a text of ten megabytes": GOOD.replace(b'"api"', b'"' + b"a" * 10_000_000 + b'"'),
    "ids that only together have the right length": GOOD.replace(ID.encode(), ID[:-1].encode()),
    "a newline after a hash": GOOD[:-1] + b', "user_hash": "' + b"a" * 31 + b'\\n"}',
    "an older offset in the time": GOOD.replace(b'"2026-03-01T12:00:00Z"', b'"2026-03-01T12:00:00-00:00"'),
}


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
