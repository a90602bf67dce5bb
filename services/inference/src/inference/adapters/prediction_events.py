"""Answers as records of the topic predictions."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from flywheel_schemas.topics import PREDICTIONS
from kafka_runtime import cloud_events
from msgspec import UNSET, UnsetType

from inference.adapters.spool import Record
from inference.application.ports import Answered

_SOURCE = "/flywheel/inference"


class _Prediction(msgspec.Struct, gc=False):
    """flywheel_schemas.events.Prediction in the form that encodes fastest; a test holds the two together."""

    prediction_id: str
    model: str
    model_version: str
    variant: str
    features: Any
    label: str | float
    scores: dict[str, float] | UnsetType
    audited: bool
    user_hash: str | UnsetType
    occurred_at: str
    latency_ms: float


_encode = msgspec.json.Encoder().encode


def records(answered: Answered) -> Iterator[Record]:
    """One record per answer, keyed by its prediction_id."""
    moment = datetime.fromtimestamp(answered.answered_at_s, UTC)
    occurred_at = cloud_events.rfc3339(moment)
    user_hash = UNSET if answered.user_hash is None else answered.user_hash
    common = [
        header
        for header in cloud_events.headers(PREDICTIONS, "", _SOURCE, moment, answered.traceparent)
        if header[0] != "ce_id"
    ]
    for row, answer in zip(answered.rows, answered.answers, strict=True):
        key = answer.prediction_id.encode()
        event = _Prediction(
            answer.prediction_id,
            answered.model,
            answered.version,
            answered.variant,
            row,
            answer.label,
            UNSET if answer.scores is None else answer.scores,
            answer.feedback_requested,
            user_hash,
            occurred_at,
            answered.latency_ms,
        )
        yield Record(key, _encode(event), [("ce_id", key), *common])
