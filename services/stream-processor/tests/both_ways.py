"""Reads an event by the fast way and by the contract, and compares."""

import functools
import json
import uuid

import numpy as np

from flywheel_schemas.events import Feedback, Prediction
from flywheel_schemas.spec import parse_spec
from stream_processor.adapters.formats import FeedbackFormat, PredictionFormat
from stream_processor.domain.routing import ModelRules, Store, resolved_label

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

    def compare(canonical, raw):
        event = Feedback.parse(raw)
        expected = expected_feedback(event)
        assert {name: canonical[name] for name in expected} == expected
        for name in RULES[event.model].spec.feature_names:
            assert canonical[name] == (event.features or {}).get(name)

    return check(feedback_format(), raws, compare)


def check_prediction(*raws: bytes):
    """As `check_feedback`, for predictions."""

    def compare(canonical, raw):
        event = Prediction.parse(raw)
        assert (canonical["prediction_id"], canonical["predicted"]) == (str(event.prediction_id), event.label)
        assert (canonical["occurred_at"], canonical["latency_ms"]) == (event.occurred_at, event.latency_ms)
        scores = event.scores and [(name, event.scores[name]) for name in RULES[event.model].spec.classes]
        assert canonical["scores"] == (scores if event.scores is not None else None)
        assert canonical["score"] == (event.scores or {}).get(event.label)

    return check(prediction_format(), raws, compare)


def check(format_, raws, compare):
    """Reads records the fast way and the careful one; `compare` holds what is stored against the contract."""
    rows, decisions = fast(format_, list(raws)), [format_.route(raw) for raw in raws]
    kept = iter(fast(format_, [one.canonical for one in decisions if isinstance(one, Store)]))
    for raw, row, decision in zip(raws, rows, decisions, strict=True):
        assert row is None or isinstance(decision, Store), (raw, decision)
        if isinstance(decision, Store):
            canonical = next(kept)
            assert canonical is not None, decision.canonical
            compare(canonical, raw)
            assert row is None or row == canonical
    return list(zip(decisions, rows, strict=True))


def encoded(event) -> bytes:
    return json.dumps(event).encode()
