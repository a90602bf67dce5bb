"""The columns of the tables: typed features from the spec, and Flywheel's own columns after them."""

from typing import Literal

import pyarrow as pa

from flywheel_schemas.spec import ModelSpec

Kind = Literal["feedback", "predictions", "quarantine", "base"]

TIMESTAMP = pa.timestamp("us", tz="UTC")
_ARRIVAL = (
    ("received_at", TIMESTAMP),
    ("kafka_partition", pa.int32()),
    ("kafka_offset", pa.int64()),
    ("event_date", pa.date32()),
)
PARTITION_COLUMN = "event_date"
# Delta keeps the lowest and highest value per file for these only: each more costs every commit.
STATISTICS = {
    "feedback": ("label", "occurred_at", "received_at", "kafka_partition", "kafka_offset"),
    "predictions": ("model_version", "occurred_at", "received_at", "kafka_partition", "kafka_offset"),
    "quarantine": ("received_at", "kafka_partition", "kafka_offset"),
    "base": ("occurred_at",),
}
# Nearly every value differs, so a dictionary would only be in the way.
NO_DICTIONARY = ("event_id", "prediction_id", "user_hash", "comment", "record", "occurred_at", "received_at",
                 "kafka_offset", "latency_ms", "score")  # fmt: skip


def answer_type(spec: ModelSpec) -> pa.DataType:
    """The type of `label` and `predicted`: text for classes, float64 for a regression."""
    return pa.float64() if spec.task == "regression" else pa.string()


def _features(spec: ModelSpec) -> list[tuple[str, pa.DataType]]:
    return [(feature.name, pa.string() if feature.is_text else pa.float64()) for feature in spec.features]


def feedback(spec: ModelSpec) -> pa.Schema:
    """One row per piece of feedback; features are null where it came without any."""
    answer = answer_type(spec)
    return pa.schema(
        [
            *_features(spec),
            ("event_id", pa.string()),
            ("prediction_id", pa.string()),
            ("model_version", pa.string()),
            ("variant", pa.string()),
            ("predicted", answer),
            ("audited", pa.bool_()),
            ("label", answer),
            ("rating", pa.int32()),
            ("comment", pa.string()),
            ("user_hash", pa.string()),
            ("key_id", pa.string()),
            ("kind", pa.string()),
            ("source", pa.string()),
            ("occurred_at", TIMESTAMP),
            *_ARRIVAL,
        ]
    )


def predictions(spec: ModelSpec) -> pa.Schema:
    """One row per answer. `predicted` is what was answered, `score` its probability, `scores` those of all classes."""
    return pa.schema(
        [
            *_features(spec),
            ("prediction_id", pa.string()),
            ("model_version", pa.string()),
            ("variant", pa.string()),
            ("predicted", answer_type(spec)),
            ("score", pa.float64()),
            ("scores", pa.map_(pa.string(), pa.float64())),
            ("audited", pa.bool_()),
            ("user_hash", pa.string()),
            ("latency_ms", pa.float64()),
            ("occurred_at", TIMESTAMP),
            *_ARRIVAL,
        ]
    )


def quarantine() -> pa.Schema:
    """One row per event that was readable but did not fit its model; `record` is the event's JSON text."""
    return pa.schema(
        [
            ("event_id", pa.string()),
            ("kind", pa.string()),
            ("reason", pa.string()),
            ("score", pa.float64()),
            ("record", pa.string()),
            *_ARRIVAL,
        ]
    )


def base(spec: ModelSpec) -> pa.Schema:
    """The data that a model starts from; `occurred_at` is null where the file had no such column."""
    return pa.schema([*_features(spec), ("label", answer_type(spec)), ("occurred_at", TIMESTAMP)])


def of(kind: Kind, spec: ModelSpec) -> pa.Schema:
    """The schema of one kind of table of the model."""
    if kind == "quarantine":
        return quarantine()
    return {"feedback": feedback, "predictions": predictions, "base": base}[kind](spec)
