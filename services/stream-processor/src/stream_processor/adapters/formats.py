"""Reading records fast: msgspec for the JSON, whole columns for the rest.

What the fast way takes, the contract (Pydantic and the model's spec) takes too, with the same values. What it does
not take is not refused by that: it goes to `route`, which decides by the contract.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import attrgetter, or_
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import override

from flywheel_schemas.spec import ModelSpec
from lake import schema
from stream_processor.adapters import arrays, row_types
from stream_processor.application.ports import Columns, Format
from stream_processor.domain.routing import Decision, HideUser, ModelRules, Rules, route_feedback, route_prediction

# TypeError: a tombstone has no bytes at all.
_MISREAD = (msgspec.MsgspecError, ValueError, RecursionError, TypeError)


class _Format(Format):
    """What both topics share: one decoder for the records of all models, told apart by their field `model`."""

    def __init__(self, rules: Rules, struct_of: Callable[[ModelRules], type[msgspec.Struct]]) -> None:
        self._rules = rules
        structs = {struct_of(one): name for name, one in rules.items()}
        self._models: dict[type, str] = dict(structs)
        union = reduce(or_, structs) if structs else _Nothing
        self._decode: Callable[[Any], Any] = msgspec.json.Decoder(union).decode
        self._features = {name: _FeatureColumns(one) for name, one in rules.items()}

    @override
    def decode(self, values: Sequence[bytes | None]) -> list[Any]:
        try:
            return list(map(self._decode, values))
        except _MISREAD:
            return [self._decode_one(value) for value in values]

    def _decode_one(self, value: bytes | None) -> Any | None:
        try:
            return self._decode(value)
        except _MISREAD:
            return None

    @override
    def model_of(self, row: Any) -> str:
        return self._models[type(row)]


class _Nothing(msgspec.Struct, tag_field="model", tag="", forbid_unknown_fields=True):
    """No model has this name, so without specs nothing is read the fast way."""


class FeedbackFormat(_Format):
    """Records of feedback-events."""

    def __init__(self, rules: Rules, hide_user: HideUser | None) -> None:
        super().__init__(rules, lambda one: row_types.struct(one, row_types.feedback_fields(one)))
        self._hide_user = hide_user

    @override
    def route(self, value: bytes | None) -> Decision:
        return route_feedback(value, self._rules, self._hide_user)

    @override
    def columns(self, model: str, rows: Sequence[Any], received_at_us: np.ndarray) -> Columns:
        spec = self._rules[model].spec
        answer = schema.answer_type(spec)
        parts = arrays.transpose(rows, row_types.FEEDBACK)
        kind = pa.array(parts["kind"], pa.string())
        predicted = pa.array(parts["predicted"], answer)
        given = pa.array(parts["label"], answer)
        confirmed = pc.and_(pc.equal(kind, "confirmation"), predicted.is_valid())
        label = pc.if_else(confirmed, predicted, given)
        event_ids, ids, good = arrays.uuids(parts["event_id"])
        prediction_ids, predictions_good = arrays.optional_uuids(parts["prediction_id"])
        occurred, occurred_good = arrays.times(parts["occurred_at"])
        received, received_good = arrays.times(parts["received_at"])
        hashes, hashes_good = arrays.hashes(parts["user_hash"])
        features, has_features = self._features[model].arrays(parts["features"])
        rating = pa.array(parts["rating"], pa.int32())
        good &= predictions_good & occurred_good & received_good & hashes_good
        good &= _complete(kind, given, prediction_ids, has_features, rating) & _answers(label, spec)
        table = pa.table(
            {
                **features,
                "event_id": event_ids,
                "prediction_id": prediction_ids,
                "model_version": pa.array(parts["model_version"], pa.string()),
                "variant": pa.array(parts["variant"], pa.string()),
                "predicted": predicted,
                "audited": pa.array(parts["audited"], pa.bool_()),
                "label": label,
                "rating": rating,
                "comment": pa.array(parts["comment"], pa.string()),
                "user_hash": hashes,
                "key_id": pa.array(parts["key_id"], pa.string()),
                "kind": kind,
                "source": pa.array(parts["source"], pa.string()),
                "occurred_at": occurred,
                "received_at": received,
                "event_date": received.cast(pa.date32()),
            }
        )
        return Columns(table, ids, ~good)


class PredictionFormat(_Format):
    """Records of predictions. A prediction is received when its record was written to Kafka."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules, lambda one: row_types.struct(one, row_types.prediction_fields(one)))
        self._scores = {name: _ScoreColumns(one.spec.classes) for name, one in rules.items()}

    @override
    def route(self, value: bytes | None) -> Decision:
        return route_prediction(value, self._rules)

    @override
    def columns(self, model: str, rows: Sequence[Any], received_at_us: np.ndarray) -> Columns:
        parts = arrays.transpose(rows, row_types.PREDICTION)
        prediction_ids, ids, good = arrays.uuids(parts["prediction_id"])
        occurred, occurred_good = arrays.times(parts["occurred_at"])
        hashes, hashes_good = arrays.hashes(parts["user_hash"])
        features, _ = self._features[model].arrays(parts["features"])
        predicted = pa.array(parts["label"], schema.answer_type(self._rules[model].spec))
        scores, score = self._scores[model].arrays(parts["scores"], predicted)
        received = pa.array(received_at_us).cast(pa.timestamp("us")).cast(schema.TIMESTAMP)
        table = pa.table(
            {
                **features,
                "prediction_id": prediction_ids,
                "model_version": pa.array(parts["model_version"], pa.string()),
                "variant": pa.array(parts["variant"], pa.string()),
                "predicted": predicted,
                "score": score,
                "scores": scores,
                "audited": pa.array(parts["audited"], pa.bool_()),
                "user_hash": hashes,
                "latency_ms": pa.array(parts["latency_ms"], pa.float64()),
                "occurred_at": occurred,
                "received_at": received,
                "event_date": received.cast(pa.date32()),
            }
        )
        return Columns(table, ids, ~(good & occurred_good & hashes_good))


class _FeatureColumns:
    """A model's features as typed columns; all are null in rows that came without any."""

    def __init__(self, rules: ModelRules) -> None:
        self._types = [
            (feature.name, pa.string() if feature.is_text else pa.float64()) for feature in rules.spec.features
        ]
        names = [name for name, _ in self._types]
        self._absent = rules.schema.row_type(**dict.fromkeys(names))
        self._names = tuple(names)

    def arrays(self, features: Sequence[Any]) -> tuple[dict[str, pa.Array], np.ndarray]:
        """Columns by feature name, and which rows came with features."""
        present = np.ones(len(features), dtype=bool)
        if not all(features):  # a Struct is true, None is not
            present = np.array([one is not None for one in features], dtype=bool)
            features = [self._absent if one is None else one for one in features]
        parts = arrays.transpose(features, self._names)
        return {name: pa.array(parts[name], kind) for name, kind in self._types}, present


class _ScoreColumns:
    """Scores as a map column, and the score of what was predicted."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = pa.array(classes, pa.string())
        self._fields = tuple(f"class_{index}" for index in range(len(classes)))
        self._null = dict.fromkeys(self._fields, float("nan"))

    def arrays(self, scores: Sequence[Any], predicted: pa.Array) -> tuple[pa.Array, pa.Array]:
        n, k = len(scores), len(self._fields)
        empty = pa.nulls(n, pa.map_(pa.string(), pa.float64())), pa.nulls(n, pa.float64())
        if not k or not n:
            return empty
        getter = attrgetter(*self._fields)
        absent = tuple(self._null.values())
        flat = np.array([absent if one is None else getter(one) for one in scores], dtype=np.float64).reshape(n, k)
        present = np.array([one is not None for one in scores], dtype=bool)
        offsets = pa.array(np.arange(n + 1, dtype=np.int32) * k, mask=np.append(~present, False))
        keys = pa.DictionaryArray.from_arrays(pa.array(np.tile(np.arange(k, dtype=np.int32), n)), self._classes)
        maps = pa.MapArray.from_arrays(offsets, keys.cast(pa.string()), pa.array(flat.ravel()))
        chosen = pc.index_in(predicted, value_set=self._classes).to_numpy(zero_copy_only=False).astype(np.int64)
        return maps, pa.array(flat[np.arange(n), chosen], mask=~present)


def _complete(
    kind: pa.Array, label: pa.Array, prediction_id: pa.Array, has_features: np.ndarray, rating: pa.Array
) -> np.ndarray:
    """Which rows have what their kind needs (`flywheel_schemas.events.missing_parts`, column-wise)."""
    kinds = {
        name: arrays.to_numpy(pc.equal(kind, name)) for name in ("correction", "confirmation", "example", "rating")
    }
    labelled, predicted, rated = (arrays.to_numpy(one.is_valid()) for one in (label, prediction_id, rating))
    return np.asarray(
        (kinds["correction"] & labelled & (predicted | has_features))
        | (kinds["confirmation"] & predicted)
        | (kinds["example"] & labelled & has_features)
        | (kinds["rating"] & rated)
    )


def _answers(label: pa.Array, spec: ModelSpec) -> np.ndarray:
    """Which resolved labels are answers of the model, or absent."""
    if spec.task != "regression":
        return np.asarray(
            arrays.to_numpy(pc.or_(label.is_null(), pc.is_in(label, pa.array(spec.classes, pa.string()))))
        )
    if spec.label.range is None:
        return np.ones(len(label), dtype=bool)
    low, high = spec.label.range
    inside = pc.and_(pc.greater_equal(label, low), pc.less_equal(label, high))
    return np.asarray(arrays.to_numpy(pc.fill_null(inside, True)))
