"""Answers as records of the topic predictions, and on the way there between two processes.

Where answers are given they are only packed (`packed`); the courier makes the records (`unpacked`).
"""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from msgspec import UNSET, Raw, UnsetType

from flywheel_schemas.topics import PREDICTIONS
from inference.adapters.spool import Record
from inference.application.ports import Answered
from kafka_runtime import cloud_events

SOURCE = "/flywheel/inference"


class _Answer(msgspec.Struct, gc=False):
    """What of an answer goes into its event."""

    prediction_id: str
    label: Raw
    scores: Raw
    feedback_requested: bool


class _Answered(msgspec.Struct, gc=False):
    """inference.application.ports.Answered as it was packed; what is only passed on stays JSON."""

    model: str
    version: str
    variant: str
    rows: list[Raw]
    answers: list[_Answer]
    user_hash: str | None
    answered_at_s: float
    latency_ms: float
    traceparent: str


class _Prediction(msgspec.Struct, gc=False):
    """flywheel_schemas.events.Prediction in the form that encodes fastest; a test holds the two together."""

    prediction_id: str
    model: str
    model_version: str
    variant: str
    features: Raw
    label: Raw
    scores: Raw | UnsetType
    audited: bool
    user_hash: str | UnsetType
    occurred_at: str
    latency_ms: float


# What does not differ from record to record; a test holds this to cloud_events.headers.
_CONSTANT = [
    header
    for header in cloud_events.headers(PREDICTIONS, "", SOURCE, datetime.now(UTC), None)
    if header[0] not in ("ce_id", "ce_time")
]
_NULL = Raw(b"null")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[int, list[_Answered]]).decode


def packed(number: int, several: Sequence[Answered]) -> bytes:
    """A numbered parcel of answers."""
    return _encode((number, several))


def unpacked(parcel: bytes | memoryview) -> tuple[int, list[Record]]:
    """The parcel's number, and one record per answer, keyed by its prediction_id."""
    number, several = _decode(parcel)
    return number, [record for answered in several for record in _records(answered)]


def _records(answered: _Answered) -> Iterator[Record]:
    occurred_at = _rfc3339(answered.answered_at_s)
    user_hash = UNSET if answered.user_hash is None else answered.user_hash
    common = [*_CONSTANT, ("ce_time", occurred_at.encode()), ("traceparent", answered.traceparent.encode())]
    for row, answer in zip(answered.rows, answered.answers, strict=True):
        key = answer.prediction_id.encode()
        event = _Prediction(
            answer.prediction_id,
            answered.model,
            answered.version,
            answered.variant,
            row,
            answer.label,
            UNSET if answer.scores == _NULL else answer.scores,
            answer.feedback_requested,
            user_hash,
            occurred_at,
            answered.latency_ms,
        )
        yield Record(key, _encode(event), [("ce_id", key), *common])


def _rfc3339(moment_s: float) -> str:
    """As cloud_events.rfc3339, whose date is made anew each second only."""
    second = int(moment_s)
    return f"{_rfc3339_second(second)}.{int((moment_s - second) * 1e6):06d}Z"


@lru_cache(maxsize=8)
def _rfc3339_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
