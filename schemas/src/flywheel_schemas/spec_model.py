"""What a model spec says: what a model is, how it learns and how it is rolled out. `spec` reads it from files."""

import math
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    model_validator,
)

from flywheel_schemas.events import FEATURE_NAME_PATTERN, MODEL_NAME_PATTERN

Task = Literal["binary", "multiclass", "regression"]
_UNIT_US = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
# Columns that every row of the lake carries; a feature of the same name would hide one.
RESERVED_COLUMNS = frozenset(
    {
        "event_id",
        "prediction_id",
        "model_version",
        "variant",
        "predicted",
        "audited",
        "label",
        "rating",
        "comment",
        "user_hash",
        "key_id",
        "kind",
        "source",
        "occurred_at",
        "received_at",
        "kafka_partition",
        "kafka_offset",
        "event_date",
        "score",
        "scores",
        "latency_ms",
        "reason",
        "record",
    }
)


def parse_duration(value: object) -> object:
    """`"7d"`, `"10m"`, `"5ms"` and the like as a timedelta; anything else unchanged, for Pydantic to refuse."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a duration as a number and a unit: 5ms, 30s, 10m, 12h or 7d")
    try:
        # By decimals, so that a duration is what it says to the microsecond.
        return timedelta(microseconds=int(Decimal(match[1]) * _UNIT_US[match[2]]))
    except OverflowError as exc:
        raise ValueError("no duration is that long") from exc


def format_duration(value: timedelta) -> str:
    """The shortest spelling that `parse_duration` reads back as `value`."""
    microseconds = value // timedelta(microseconds=1)
    for unit in ("d", "h", "m", "s"):
        if microseconds and not microseconds % _UNIT_US[unit]:
            return f"{microseconds // _UNIT_US[unit]}{unit}"
    return f"{(Decimal(microseconds) / 1000).normalize():f}ms"


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Percent = Annotated[float, Field(ge=0.0, le=100.0)]
Range = tuple[float, float]


def _ordered(value: Range) -> Range:
    if any(math.isnan(end) for end in value):
        raise ValueError("write two numbers; .inf serves for an open end")
    if value[0] > value[1]:
        raise ValueError(f"the lower end comes first: [{value[1]:g}, {value[0]:g}]")
    return value


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"each value once; repeated: {', '.join(repeated)}")
    return values


OrderedRange = Annotated[Range, AfterValidator(_ordered)]


def _as_text(value: object) -> object:
    """A category or class is text. A plain number is taken as it is spelled; what YAML reads otherwise is refused."""
    spelled = getattr(value, "spelled", value)
    if isinstance(spelled, str):
        return spelled
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    readings = {bool: "a truth value", type(None): "nothing at all", date: "a date", datetime: "a moment"}
    reading = readings.get(type(value))
    if reading is None:
        return value
    raise ValueError(f'YAML reads this as {reading}; put it in quotes, such as "yes", to mean the text')


Category = Annotated[str, BeforeValidator(_as_text), StringConstraints(min_length=1, max_length=256)]
Categories = Annotated[tuple[Category, ...], AfterValidator(_distinct)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelSpec(_Part):
    """What is predicted: classes (`values`, and `positive` for two of them) or a number within `range`."""

    name: Annotated[str, StringConstraints(pattern=FEATURE_NAME_PATTERN)]
    values: Categories | None = None
    positive: Category | None = None
    range: OrderedRange | None = None


TimestampPart = Literal["hour", "weekday", "day", "month", "day_of_year"]


class FeatureSpec(_Part):
    """One input: a number (within `range`, if given), a category (one of `values`) or a timestamp (RFC 3339 text).

    How it becomes numbers is declared here too, and done by `features.FeatureSchema` at training and at serving alike:
    `clip` bends numbers into an interval, `missing` stands in for an absent number (else LightGBM sees NaN), `unseen`
    says whether a category outside of `values` is refused or counts as missing, and `derive` lists the parts of a
    timestamp, in UTC, that the model sees instead of it. `monotone` holds the model to one direction in a number.
    """

    name: Annotated[str, StringConstraints(pattern=FEATURE_NAME_PATTERN)]
    type: Literal["number", "category", "timestamp"]
    values: Categories | None = None
    range: OrderedRange | None = None
    required: bool = False
    unseen: Literal["refuse", "missing"] = "refuse"
    clip: OrderedRange | None = None
    missing: Annotated[float, Field(allow_inf_nan=False)] | None = None
    derive: Annotated[tuple[TimestampPart, ...], AfterValidator(_distinct)] | None = None
    monotone: Literal["increasing", "decreasing"] | None = None

    @property
    def is_text(self) -> bool:
        """Whether instances and the lake hold it as text."""
        return self.type != "number"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names under which the model sees it: its own, or one for each part of a timestamp."""
        return tuple(f"{self.name}_{part}" for part in self.derive or ()) or (self.name,)

    @model_validator(mode="after")
    def _fits_type(self) -> Self:
        if self.type == "category" and not self.values:
            raise ValueError(f"category {self.name} needs values: the list of categories it may take")
        if self.type == "timestamp" and not self.derive:
            raise ValueError(f"timestamp {self.name} needs derive: what the model sees of it, such as [hour, weekday]")
        given: dict[str, dict[str, object]] = {
            "number": {"range": self.range, "clip": self.clip, "missing": self.missing, "monotone": self.monotone},
            "category": {"values": self.values, "unseen": self.unseen if self.unseen != "refuse" else None},
            "timestamp": {"derive": self.derive},
        }
        for kind, keys in given.items():
            if kind != self.type and (wrong := [key for key, value in keys.items() if value is not None]):
                raise ValueError(f"{self.type} {self.name} has no {wrong[0]}; leave it out, or make the type {kind}")
        return self


class FeedbackPolicy(_Part):
    """Who is asked for feedback, how long an event id is remembered, and whose word may weigh how much."""

    audit_percent: Percent = 2.0
    dedup_window: Duration = timedelta(days=7)
    max_share_per_user: Share = 0.02
    max_share_per_key: Share = 0.5


class QualityTrigger(_Part):
    """Retrain when the live metric, estimated from audited answers, is worse than this: accuracy below, mae above."""

    metric: Literal["accuracy", "mae"] = "accuracy"
    below: Share | None = None
    above: Annotated[float, Field(ge=0.0)] | None = None
    window: Duration = timedelta(days=7)

    @model_validator(mode="after")
    def _has_its_limit(self) -> Self:
        if self.metric == "accuracy" and (self.below is None or self.above is not None):
            raise ValueError("accuracy needs below (and no above): the accuracy that calls for a training")
        if self.metric == "mae" and (self.above is None or self.below is not None):
            raise ValueError("mae needs above (and no below): the mean absolute error that calls for a training")
        return self


class DriftTrigger(_Part):
    """Retrain when the population stability index of a feature or of the scores exceeds this."""

    psi_above: Annotated[float, Field(gt=0.0)] = 0.2
    window: Duration = timedelta(days=7)


def _is_a_period(value: str) -> str:
    match = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])", value)
    if match is None or match[0][:5] == match[0][6:]:
        raise ValueError('write a quiet period as two different times of the day in UTC, such as "22:00-06:00"')
    return value


QuietPeriod = Annotated[str, AfterValidator(_is_a_period)]


class RetrainPolicy(_Part):
    """What makes a model retrain, and how soon after the last time.

    `min_clean_share`: new feedback of which more was quarantined does not count up to a training yet. `quiet`:
    hours of each day (UTC) in which only people start a training.
    """

    feedback_count: Annotated[int, Field(ge=1)] | None = 2000
    quality: QualityTrigger | None = None
    drift: DriftTrigger | None = None
    every: Duration | None = None
    cooldown: Duration = timedelta(0)
    min_clean_share: Share = 0.0
    quiet: tuple[QuietPeriod, ...] = ()

    def held_back(self, now: datetime, last: datetime | None) -> str | None:
        """Why nothing but a person may start a training at `now`, `last` being the newest trigger; None when it may."""
        if last is not None and now - last < self.cooldown:
            return f"the last trigger is less than {format_duration(self.cooldown)} ago"
        clock = f"{now.astimezone(UTC):%H:%M}"
        for period in self.quiet:
            begin, end = period.split("-")
            if begin <= clock < end or (end < begin and (clock >= begin or clock < end)):
                return f"{period} is a quiet period"
        return None


class TrainingPolicy(_Part):
    """How a model is trained. `params` are LightGBM's own; `rounds` is the upper bound of early stopping.

    `mode: continue` adds trees to the champion's. `class_weights` multiply the rows of a class (`balanced`: so that
    all classes weigh alike); `half_life` halves a row's weight for each such time that it is older than the newest.
    """

    mode: Literal["full", "continue"] = "full"
    params: dict[str, str | int | float | bool] = Field(default_factory=dict)
    rounds: Annotated[int, Field(ge=1, le=100_000)] = 300
    search_trials: Annotated[int, Field(ge=0)] = 0
    holdout: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    weights: Literal["audited", "none"] = "audited"
    class_weights: Literal["balanced"] | dict[Category, Annotated[float, Field(gt=0.0)]] | None = None
    half_life: Duration | None = None
    calibrate: bool = False


class GatePolicy(_Part):
    """What a candidate must show before it may serve. `metric` None means the task's usual one.

    `confidence` is that of the gain's interval, whose lower end must reach `min_gain`: a candidate that is no better
    gets through with probability (1 - confidence) / 2. At 0 the point estimate decides: every second one does.
    """

    metric: Literal["auc", "accuracy", "log_loss", "rmse", "mae"] | None = None
    min_gain: float = 0.0
    confidence: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.95
    max_slice_loss: Share = 0.05
    golden: str | None = None
    max_latency: Duration = timedelta(milliseconds=5)
    max_calibration_error: Share = 0.1
    max_megabytes: Annotated[float, Field(gt=0.0)] = 64.0


class ShadowPolicy(_Part):
    """How many requests a challenger answers aside before it answers any for real."""

    min_predictions: Annotated[int, Field(ge=0)] = 500


class Guardrails(_Part):
    """What takes a challenger back at once."""

    error_rate_above: Share = 0.01
    p99_above: Duration = timedelta(milliseconds=50)
    quality_loss_above: Share = 0.02


class RolloutPolicy(_Part):
    """How a version that passed its gates comes to serve."""

    strategy: Literal["canary", "blue_green", "instant"] = "instant"
    shadow: ShadowPolicy = ShadowPolicy()
    steps: tuple[Annotated[float, Field(gt=0.0, lt=100.0)], ...] = (5.0, 25.0, 50.0)
    min_feedback: Annotated[int, Field(ge=1)] = 200
    guardrails: Guardrails = Guardrails()
    give_up_after: Duration = timedelta(days=7)


class RetentionPolicy(_Part):
    """How long dataset versions stay readable, and when files that nobody needs are removed."""

    dataset_versions: Duration = timedelta(days=365)
    vacuum_after: Duration = timedelta(days=7)


class ModelSpec(_Part):
    """Everything Flywheel knows of a model before its first row."""

    name: Annotated[str, StringConstraints(pattern=MODEL_NAME_PATTERN)]
    task: Task
    label: LabelSpec
    features: Annotated[tuple[FeatureSpec, ...], Field(min_length=1)]
    base_dataset: str | None = None
    feedback: FeedbackPolicy = FeedbackPolicy()
    retrain: RetrainPolicy = RetrainPolicy()
    training: TrainingPolicy = TrainingPolicy()
    gates: GatePolicy = GatePolicy()
    rollout: RolloutPolicy = RolloutPolicy()
    retention: RetentionPolicy = RetentionPolicy()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of the model's outputs; empty for a regression."""
        return self.label.values or ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Feature names in the order of the model's columns."""
        return tuple(feature.name for feature in self.features)

    @property
    def gate_metric(self) -> str:
        """The metric that candidate and champion are compared by."""
        return self.gates.metric or {"binary": "auc", "multiclass": "log_loss", "regression": "rmse"}[self.task]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [*self.feature_names, self.label.name]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"feature and label names must differ; repeated: {', '.join(repeated)}")
        if reserved := sorted(RESERVED_COLUMNS.intersection(self.feature_names)):
            raise ValueError(f"these names belong to Flywheel's own columns, rename them: {', '.join(reserved)}")
        columns = [column for feature in self.features for column in feature.columns]
        if repeated := sorted({name for name in columns if columns.count(name) > 1}):
            raise ValueError(f"a part derived from a timestamp bears a feature's name; rename: {', '.join(repeated)}")
        self._check_label()
        self._check_metric()
        self._check_training()
        return self

    def _check_label(self) -> None:
        label = self.label
        if self.task == "regression":
            if label.values or label.positive:
                raise ValueError("a regression's label has no values and no positive class; give a range, or nothing")
            return
        if label.range is not None:
            raise ValueError(f"a {self.task} label has values, not a range")
        if self.task == "binary":
            if len(self.classes) != 2:
                raise ValueError("a binary label needs exactly two values")
            if label.positive not in self.classes:
                raise ValueError(f"label.positive must be one of the label's values: {', '.join(self.classes)}")
        elif len(self.classes) < 3:
            raise ValueError("a multiclass label needs at least three values; make the task binary for two")

    def _check_metric(self) -> None:
        allowed = {
            "binary": {"auc", "accuracy", "log_loss"},
            "multiclass": {"accuracy", "log_loss"},
            "regression": {"rmse", "mae"},
        }[self.task]
        quality = self.retrain.quality
        if quality is not None and (quality.metric == "mae") != (self.task == "regression"):
            raise ValueError("retrain.quality is by accuracy for classes, and by mae for a regression")
        if self.gate_metric not in allowed:
            raise ValueError(f"gates.metric of a {self.task} model is one of: {', '.join(sorted(allowed))}")

    def _check_training(self) -> None:
        training = self.training
        if self.task == "regression" and (training.class_weights or training.calibrate):
            raise ValueError("a regression has no classes to weigh and no probabilities to calibrate; leave these out")
        if isinstance(training.class_weights, dict) and set(training.class_weights) != set(self.classes):
            raise ValueError(f"training.class_weights names each class once: {', '.join(self.classes)}")
