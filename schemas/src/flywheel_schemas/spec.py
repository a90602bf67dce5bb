"""A model spec: the one file that says what a model is, how it learns and how it is rolled out."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    model_validator,
)

from flywheel_schemas.events import FEATURE_NAME_PATTERN, MODEL_NAME_PATTERN

Task = Literal["binary", "multiclass", "regression"]
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
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


class SpecError(ValueError):
    """A spec file that cannot be used. The text names the file, the line and the remedy."""


def parse_duration(value: object) -> object:
    """`"7d"`, `"10m"`, `"5ms"` and the like as a timedelta; anything else unchanged, for Pydantic to refuse."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a duration as a number and a unit: 5ms, 30s, 10m, 12h or 7d")
    return float(match[1]) * _UNITS[match[2]]


def format_duration(value: timedelta) -> str:
    """The shortest spelling that `parse_duration` reads back as `value`."""
    for unit in ("d", "h", "m", "s"):
        if value and not value % _UNITS[unit]:
            return f"{value // _UNITS[unit]}{unit}"
    return f"{value / _UNITS['ms']:g}ms"


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Percent = Annotated[float, Field(ge=0.0, le=100.0)]
Range = tuple[float, float]


def _ordered(value: Range) -> Range:
    if value[0] > value[1]:
        raise ValueError(f"the lower end comes first: [{value[1]:g}, {value[0]:g}]")
    return value


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"each value once; repeated: {', '.join(repeated)}")
    return values


OrderedRange = Annotated[Range, AfterValidator(_ordered)]
# YAML reads `0` as a number and `yes` as a truth value; a category or class is always text.
Category = Annotated[
    str,
    BeforeValidator(lambda v: str(v) if isinstance(v, int | float) and not isinstance(v, bool) else v),
    StringConstraints(min_length=1, max_length=256),
]
Categories = Annotated[tuple[Category, ...], AfterValidator(_distinct)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelSpec(_Part):
    """What is predicted: classes (`values`, and `positive` for two of them) or a number within `range`."""

    name: Annotated[str, StringConstraints(pattern=FEATURE_NAME_PATTERN)]
    values: Categories | None = None
    positive: Category | None = None
    range: OrderedRange | None = None


class FeatureSpec(_Part):
    """One input: a number (within `range`, if given) or a category (one of `values`)."""

    name: Annotated[str, StringConstraints(pattern=FEATURE_NAME_PATTERN)]
    type: Literal["number", "category"]
    values: Categories | None = None
    range: OrderedRange | None = None
    required: bool = False

    @model_validator(mode="after")
    def _fits_type(self) -> Self:
        if self.type == "category" and not self.values:
            raise ValueError(f"category {self.name} needs values: the list of categories it may take")
        if self.type == "category" and self.range is not None:
            raise ValueError(f"category {self.name} has no range; leave it out, or make the type number")
        if self.type == "number" and self.values is not None:
            raise ValueError(f"number {self.name} has no values; leave them out, or make the type category")
        return self


class FeedbackPolicy(_Part):
    """Who is asked for feedback, how long an event id is remembered, and whose word may weigh how much."""

    audit_percent: Percent = 2.0
    dedup_window: Duration = timedelta(days=7)
    max_share_per_user: Share = 0.02
    max_share_per_key: Share = 0.5


class QualityTrigger(_Part):
    """Retrain when the live metric, estimated from audited answers, falls below this."""

    metric: Literal["accuracy"] = "accuracy"
    below: Share
    window: Duration = timedelta(days=7)


class DriftTrigger(_Part):
    """Retrain when the population stability index of a feature or of the scores exceeds this."""

    psi_above: Annotated[float, Field(gt=0.0)] = 0.2
    window: Duration = timedelta(days=7)


class RetrainPolicy(_Part):
    """What makes a model retrain, and how soon after the last time."""

    feedback_count: Annotated[int, Field(ge=1)] | None = 2000
    quality: QualityTrigger | None = None
    drift: DriftTrigger | None = None
    every: Duration | None = None
    cooldown: Duration = timedelta(0)


class TrainingPolicy(_Part):
    """How a model is trained. `params` are LightGBM's own; `rounds` is the upper bound of early stopping."""

    mode: Literal["full", "continue"] = "full"
    params: dict[str, str | int | float | bool] = Field(default_factory=dict)
    rounds: Annotated[int, Field(ge=1, le=100_000)] = 300
    search_trials: Annotated[int, Field(ge=0)] = 0
    holdout: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    weights: Literal["audited", "none"] = "audited"


class GatePolicy(_Part):
    """What a candidate must show before it may serve. `metric` None means the task's usual one."""

    metric: Literal["auc", "accuracy", "log_loss", "rmse", "mae"] | None = None
    min_gain: float = 0.0
    confidence: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    max_slice_loss: Share = 0.05
    golden: str | None = None
    max_latency: Duration = timedelta(milliseconds=5)


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
        self._check_label()
        self._check_metric()
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
        if self.gate_metric not in allowed:
            raise ValueError(f"gates.metric of a {self.task} model is one of: {', '.join(sorted(allowed))}")


def parse_spec(text: str, origin: str = "spec") -> ModelSpec:
    """The spec in the YAML `text`. Raises SpecError that names `origin`, the line and what to mend."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        loaded: Any = yaml.safe_load(text)
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise SpecError(f"{origin}:{line}: this is not valid YAML: {exc.problem}") from exc
    except (yaml.YAMLError, RecursionError) as exc:
        raise SpecError(f"{origin}:1: this is not valid YAML: {exc}") from exc
    if not isinstance(loaded, dict):
        raise SpecError(f"{origin}:1: a spec is a mapping with at least name, task, label and features")
    if duplicate := _duplicate_key(root):
        raise SpecError(f"{origin}:{duplicate[1]}: the key {duplicate[0]} stands here a second time; keep one")
    try:
        return ModelSpec.model_validate(loaded)
    except ValidationError as exc:
        lines = [
            f"{origin}:{_line_of(root, error['loc'])}: {_path(error['loc'])}{_remedy(error)}" for error in exc.errors()
        ]
        raise SpecError("\n".join(lines)) from exc


def load_spec(path: Path) -> ModelSpec:
    """The spec in the file `path`. Raises SpecError that names file, line and remedy."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise SpecError(f"{path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise SpecError(f"{path}: is not UTF-8 text; save it as UTF-8") from exc
    return parse_spec(text, str(path))


def load_specs(folder: Path) -> dict[str, ModelSpec]:
    """Every `*.yaml` in `folder` by model name. Raises SpecError for a wrong or repeated one."""
    specs: dict[str, ModelSpec] = {}
    for path in sorted(folder.glob("*.yaml")):
        spec = load_spec(path)
        if spec.name in specs:
            raise SpecError(f"{path}: model {spec.name} is described by another file of {folder} too; keep one")
        specs[spec.name] = spec
    return specs


def dump_spec(spec: ModelSpec) -> str:
    """`spec` as YAML that `parse_spec` reads back as an equal spec."""
    return yaml.safe_dump(spec.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True)


def _path(loc: tuple[int | str, ...]) -> str:
    return f"{'.'.join(str(part) for part in loc)}: " if loc else ""


def _remedy(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "there is no such key; remove it, or look for a spelling mistake"
        case "missing":
            return "is missing; add it"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return f"{error['msg']} (found: {error['input']!r})"


def _line_of(node: yaml.Node | None, loc: tuple[int | str, ...]) -> int:
    """Line, counted from 1, of the deepest node on the way to `loc` that the file holds."""
    line = 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            entry = next(((key, value) for key, value in node.value if key.value == part), None)
            if entry is None:
                return line
            line, node = entry[0].start_mark.line + 1, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _duplicate_key(node: yaml.Node | None) -> tuple[str, int] | None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                return key.value, key.start_mark.line + 1
            seen.add(key.value)
            if found := _duplicate_key(value):
                return found
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            if found := _duplicate_key(item):
                return found
    return None
