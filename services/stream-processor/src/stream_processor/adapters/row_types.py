"""The msgspec types of one record, made from a model's spec."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from flywheel_schemas.spec import ModelSpec
from stream_processor.domain.routing import ModelRules

_Uuid = Annotated[str, msgspec.Meta(min_length=36, max_length=36)]
_Time = Annotated[str, msgspec.Meta(min_length=20, max_length=27)]
_Hash = Annotated[str, msgspec.Meta(min_length=32, max_length=32)]
_KeyId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Source = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Version = Annotated[str, msgspec.Meta(max_length=64)]
_Comment = Annotated[str, msgspec.Meta(max_length=2000)]
_Rating = Annotated[int, msgspec.Meta(ge=1, le=5)]
_Answer = Annotated[str, msgspec.Meta(max_length=256)]
_Kind = Literal["correction", "confirmation", "rating", "example"]
_Variant = Literal["champion", "challenger", "shadow"]

_Field = tuple[str, Any] | tuple[str, Any, Any]


def struct(rules: ModelRules, fields: list[_Field]) -> type[msgspec.Struct]:
    """The type of one record of this model; its field `model` tells it from those of others."""
    return msgspec.defstruct(
        "Row",
        fields,
        tag_field="model",
        tag=rules.spec.name,
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
    )


def _or_none(kind: Any) -> Any:
    return kind | None


def feedback_fields(rules: ModelRules) -> list[_Field]:
    """The fields of a feedback event of this model, each as strict as the contract or stricter."""
    spec = rules.spec
    return [
        ("event_id", _Uuid),
        ("kind", _Kind),
        ("source", _Source),
        ("occurred_at", _Time),
        ("received_at", _Time),
        ("features", _or_none(rules.schema.row_type), None),
        ("label", _or_none(_label_type(spec)), None),
        ("predicted", _or_none(float if spec.task == "regression" else _Answer), None),
        ("prediction_id", _or_none(_Uuid), None),
        ("model_version", _or_none(_Version), None),
        ("variant", _or_none(_Variant), None),
        ("audited", _or_none(bool), None),
        ("rating", _or_none(_Rating), None),
        ("comment", _or_none(_Comment), None),
        ("user_hash", _or_none(_Hash), None),
        ("key_id", _or_none(_KeyId), None),
    ]


def prediction_fields(rules: ModelRules) -> list[_Field]:
    """The fields of a prediction of this model, each as strict as the contract or stricter."""
    spec = rules.spec
    return [
        ("prediction_id", _Uuid),
        ("model_version", _Version),
        ("variant", _Variant),
        ("features", rules.schema.row_type),
        ("label", float if spec.task == "regression" else Literal[spec.classes]),
        ("audited", bool),
        ("occurred_at", _Time),
        ("latency_ms", float),
        ("scores", _or_none(_scores_type(spec.classes)), None),
        ("user_hash", _or_none(_Hash), None),
    ]


FEEDBACK = ("event_id", "kind", "source", "occurred_at", "received_at", "features", "label", "predicted",
             "prediction_id", "model_version", "variant", "audited", "rating", "comment", "user_hash",
             "key_id")  # fmt: skip
PREDICTION = ("prediction_id", "model_version", "variant", "features", "label", "audited", "occurred_at",
               "latency_ms", "scores", "user_hash")  # fmt: skip


def _label_type(spec: ModelSpec) -> Any:
    if spec.task != "regression":
        return Literal[spec.classes]
    low, high = spec.label.range or (None, None)
    return Annotated[float, msgspec.Meta(ge=low, le=high)] if spec.label.range else float


def _scores_type(classes: Sequence[str]) -> Any:
    if not classes:
        return _NoScores
    fields = [(f"class_{index}", float) for index in range(len(classes))]
    return msgspec.defstruct(
        "Scores",
        fields,
        rename=dict(zip((name for name, _ in fields), classes, strict=True)),
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
    )


class _NoScores(msgspec.Struct, forbid_unknown_fields=True):
    """What a regression sends where it sends scores at all."""
