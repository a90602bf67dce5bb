"""The events that travel over Kafka, and the feedback that a client may post.

Every event is immutable and is read for ever. Optional fields may be added to a version, so a
reader passes over fields that it does not know; anything else is a new version. What a client
posts is stricter: an unknown field there is a mistake, and is refused.
"""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    model_validator,
)

from flywheel_schemas import glossary

MODEL_NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,62}$"
FEATURE_NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,62}$"
MAX_COMMENT_CHARS = 2000
MAX_TEXT_CHARS = 256


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("lies outside the years 1 to 9999 in UTC") from exc


def _no_lone_surrogates(text: str) -> str:
    if re.search("[\ud800-\udfff]", text):
        raise ValueError("must be valid Unicode text, without lone surrogates")
    return text


ModelName = Annotated[str, StringConstraints(pattern=MODEL_NAME_PATTERN)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARS), AfterValidator(_no_lone_surrogates)]
Moment = Annotated[AwareDatetime, AfterValidator(_to_utc)]
Label = Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARS)] | FiniteFloat
FeatureValue = Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARS)] | FiniteFloat | None
Features = Annotated[
    dict[Annotated[str, StringConstraints(pattern=FEATURE_NAME_PATTERN)], FeatureValue],
    # Pydantic leaves it unsaid in its schema that other names are refused.
    Field(json_schema_extra={"additionalProperties": False}),
]
Rating = Annotated[int, Field(ge=1, le=5)]
Comment = Annotated[str, StringConstraints(max_length=MAX_COMMENT_CHARS), AfterValidator(_no_lone_surrogates)]


class FeedbackKind(StrEnum):
    """What a person tells us about an answer."""

    CORRECTION = "correction"
    CONFIRMATION = "confirmation"
    RATING = "rating"
    EXAMPLE = "example"


# An enumeration's members are looked up slowly, and each event asks.
_CORRECTION, _CONFIRMATION = FeedbackKind.CORRECTION.value, FeedbackKind.CONFIRMATION.value
_EXAMPLE = FeedbackKind.EXAMPLE.value


class Variant(StrEnum):
    """Which role the model version had when it answered."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    SHADOW = "shadow"


class _Wire(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, protected_namespaces=(), json_schema_extra=glossary.explain
    )

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """The event in `raw` (one JSON object). Raises pydantic.ValidationError."""
        return cls.model_validate_json(raw)

    def encode(self) -> bytes:
        """One JSON object in UTF-8; absent optional fields are left out."""
        return self.model_dump_json(exclude_none=True).encode()


def _explain_feedback(schema: dict[str, Any]) -> None:
    glossary.explain(schema)
    schema["allOf"] = glossary.feedback_rules()


def _explain_request(schema: dict[str, Any]) -> None:
    glossary.explain(schema)
    schema["allOf"] = [*glossary.feedback_rules(), glossary.names_a_model()]


class _FeedbackFields(_Wire):
    """What client and event share, and the rules that bind the fields together."""

    model_config = ConfigDict(json_schema_extra=_explain_feedback)

    kind: FeedbackKind
    prediction_id: UUID | None = None
    feedback_token: Annotated[str, StringConstraints(max_length=2048)] | None = None
    features: Features | None = None
    label: Label | None = None
    rating: Rating | None = None
    comment: Comment | None = None
    user_id: Text | None = None

    @property
    def names_prediction(self) -> bool:
        """Whether the feedback is about a prediction, by its id or its token."""
        return self.prediction_id is not None or self.feedback_token is not None

    @model_validator(mode="after")
    def _needs(self) -> Self:
        missing = missing_parts(
            self.kind,
            has_prediction=self.names_prediction,
            has_features=self.features is not None,
            has_label=self.label is not None,
            has_rating=self.rating is not None,
        )
        if missing:
            raise ValueError(missing)
        return self


def missing_parts(
    kind: str, *, has_prediction: bool, has_features: bool, has_label: bool, has_rating: bool
) -> str | None:
    """What feedback of this kind still lacks, as a sentence; None when it is complete."""
    if kind == _CORRECTION:
        if not has_label:
            return "a correction needs a label: what the right answer would have been"
        if not (has_prediction or has_features):
            return "a correction needs a feedback_token, a prediction_id or features: which answer it corrects"
    elif kind == _CONFIRMATION:
        if not has_prediction:
            return "a confirmation needs a feedback_token or a prediction_id: which answer it confirms"
    elif kind == _EXAMPLE:
        if not (has_features and has_label):
            return "an example needs features and a label"
    elif not has_rating:
        return "a rating needs rating, a whole number from 1 to 5"
    return None


class FeedbackRequest(_FeedbackFields):
    """Feedback as a client posts it. `model` may be left out where a feedback_token names it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_explain_request)

    event_id: UUID | None = None
    model: ModelName | None = None
    source: Text = "api"
    occurred_at: Moment | None = None

    @model_validator(mode="after")
    def _names_a_model(self) -> Self:
        if self.model is None and self.feedback_token is None:
            raise ValueError("model is missing: name the model, or send the prediction's feedback_token")
        return self


class Feedback(_FeedbackFields):
    """feedback v1: one person's word about one answer, as ingest publishes it.

    `event_id` is the idempotency key. `model_version`, `variant`, `predicted` and `audited`
    come from a verified feedback token. A user travels as `user_hash` (keyed, 32 hex digits);
    a producer that has no key may send `user_id`, which is hashed before it is stored. `key_id`
    is the API key that posted it, where keys are in use.
    """

    event_id: UUID
    model: ModelName
    source: Text
    occurred_at: Moment
    received_at: Moment
    user_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None
    key_id: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    model_version: Annotated[str, StringConstraints(max_length=64)] | None = None
    variant: Variant | None = None
    predicted: Label | None = None
    audited: bool | None = None


class Prediction(_Wire):
    """prediction v1: one answer of one model version, with the features it saw.

    `scores` is {class: probability} (regression: None; `label` is the number);
    `audited` says that the application was asked for feedback by random draw.
    """

    prediction_id: UUID
    model: ModelName
    model_version: Annotated[str, StringConstraints(max_length=64)]
    variant: Variant
    features: Features
    label: Label
    scores: dict[str, FiniteFloat] | None = None
    audited: bool
    user_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None
    occurred_at: Moment
    latency_ms: FiniteFloat


class VersionQuality(_Wire):
    """What one flush of feedback says about one model version, counted apart by how it was asked for.

    `confusion` maps predicted class to {true class: count}; ratings are satisfaction, never labels.
    """

    model_version: str
    audited: bool
    n: int = 0
    confusion: dict[str, dict[str, int]] = Field(default_factory=dict)
    rating_sum: int = 0
    rating_count: int = 0


class DatasetCommitted(_Wire):
    """dataset-committed v1: feedback of one partition has reached the model's table."""

    model: ModelName
    dataset_version: int
    topic: str
    partition: int
    first_offset: int
    last_offset: int
    rows: int
    duplicates: int
    quarantined: int
    quality: list[VersionQuality] = Field(default_factory=list)


class TriggerReason(StrEnum):
    """Why a retraining was asked for."""

    COUNT = "count"
    QUALITY = "quality"
    DRIFT = "drift"
    SCHEDULE = "schedule"
    MANUAL = "manual"


class ThresholdReached(_Wire):
    """threshold-reached v1: a model should be retrained, why, and from which dataset version.

    `trigger_id` is deterministic: the same crossing has the same id, however often it is announced. `note` says why
    in a sentence. A crossing of quality or drift is about `model_version`; drift also names the `column` (a feature,
    or `scores`); `low` to `high` is the interval of `observed`, and `evidence_rows` how many rows stand behind it.
    """

    trigger_id: UUID
    model: ModelName
    reason: TriggerReason
    dataset_version: int
    observed: FiniteFloat
    threshold: FiniteFloat
    occurred_at: Moment
    note: Comment | None = None
    model_version: Annotated[str, StringConstraints(max_length=64)] | None = None
    column: Text | None = None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    evidence_rows: int | None = None


class ModelAction(StrEnum):
    """What happened to a model version."""

    REGISTERED = "registered"
    REJECTED = "rejected"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"


class ChallengerState(StrEnum):
    """How far a challenger has come: it answers aside, or for a share of the traffic."""

    SHADOW = "shadow"
    CANARY = "canary"


class GateReport(_Wire):
    """One gate's verdict, with the figures that led to it and a sentence for people."""

    name: str
    passed: bool
    figures: dict[str, Any] = Field(default_factory=dict)
    reason: str


class ModelUpdated(_Wire):
    """model-updated v1: the present state of a model after one transition of one version.

    Complete enough that a consumer needs nothing else to serve it: `artifact_uri` is the folder
    that holds the model, `artifact_sha256` the digest of the LightGBM text in it. Where another version
    serves (this one was rejected or rolled back) `champion_artifact_uri` and its digest say the same of that one.
    `challenger` and what begins with it say which version is on trial beside the champion, if any, whatever version
    the transition was about. `sequence` orders the transitions of one model: an event with a lower one is older news.
    `triggered_at` is when the threshold was reached that led to the version which is promoted here.
    """

    model: ModelName
    model_version: str
    action: ModelAction
    traffic_percent: FiniteFloat
    previous_version: str | None = None
    champion: str | None = None
    champion_artifact_uri: str | None = None
    champion_artifact_sha256: str | None = None
    run_id: str
    trigger_id: UUID | None = None
    dataset_versions: dict[str, int] = Field(default_factory=dict)
    training_set_hash: str
    metrics: dict[str, FiniteFloat] = Field(default_factory=dict)
    gates: list[GateReport] = Field(default_factory=list)
    artifact_uri: str
    artifact_sha256: str
    reason: str | None = None
    who: str | None = None
    occurred_at: Moment
    sequence: int | None = None
    triggered_at: Moment | None = None
    challenger: str | None = None
    challenger_state: ChallengerState | None = None
    challenger_traffic_percent: FiniteFloat | None = None
    challenger_artifact_uri: str | None = None
    challenger_artifact_sha256: str | None = None
    paused: bool | None = None


class ChallengerHealth(_Wire):
    """challenger-health v1: how a challenger does in one replica of inference, counted since `since`.

    `problem` says why it does not answer here: it could not be loaded, or its answers failed and the champion took
    over. Latencies are those of the last requests. `disagreement` is {champion's class: {challenger's class: n}} and
    `slices` {"feature=value": [answers, of which differ]}, both over `shadowed` answers given aside.
    """

    model: ModelName
    model_version: str
    champion: str
    replica: Text
    since: Moment
    occurred_at: Moment
    loaded: bool
    problem: str | None = None
    requests: int = 0
    failed: int = 0
    p99_ms: FiniteFloat | None = None
    champion_p99_ms: FiniteFloat | None = None
    shadowed: int = 0
    disagreed: int = 0
    disagreement: dict[str, dict[str, int]] = Field(default_factory=dict)
    slices: dict[str, list[int]] = Field(default_factory=dict)


class RolloutAction(_Wire):
    """rollout-action v1: one entry of a model's audit log: who did what to which version, when and why."""

    model: ModelName
    sequence: int
    at: Moment
    who: str
    action: str
    version: str
    reason: str
    champion: str | None = None
    challenger: str | None = None
    traffic_percent: FiniteFloat = 0.0


EVENTS: dict[str, type[_Wire]] = {
    "feedback": Feedback,
    "prediction": Prediction,
    "dataset-committed": DatasetCommitted,
    "threshold-reached": ThresholdReached,
    "model-updated": ModelUpdated,
    "challenger-health": ChallengerHealth,
    "rollout-action": RolloutAction,
}
