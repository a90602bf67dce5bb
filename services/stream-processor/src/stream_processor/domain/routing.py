"""What becomes of one record: stored, quarantined with a reason, or put among the dead letters.

A record that nobody can read, or whose model nobody knows, is a dead letter. One that can be read but
does not fit its model is quarantined beside the model's data, where a person can look at it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pydantic import ValidationError

from features import FeatureSchema
from flywheel_schemas.events import Feedback, FeedbackKind, Prediction
from flywheel_schemas.spec import ModelSpec

HideUser = Callable[[str], str]
UNKNOWN_MODEL = "unknown_model"
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Store:
    """Keep it. `canonical` is the event as ingest itself would have written it."""

    canonical: bytes


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Keep it aside. `record` is its JSON text, without anything that names a person but `user_hash`.

    `score` says how suspicious it is, where that was the reason.
    """

    model: str
    event_id: str
    kind: str
    reason: str
    record: str
    received_at_us: int | None
    user_hash: str | None = None
    score: float | None = None

    def blanked(self, reason: str, record: str) -> "Quarantine":
        """The same event without its content."""
        return replace(self, reason=reason, record=record, user_hash=None, score=None)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Keep its bytes. `reason` is a word or two, `detail` a sentence."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class PassOver:
    """Padding: it says nothing, and nothing becomes of it."""


Decision = Store | Quarantine | DeadLetter | PassOver


@dataclass(frozen=True, slots=True)
class ModelRules:
    """A model's spec, and the check of its features."""

    spec: ModelSpec
    schema: FeatureSchema

    @classmethod
    def of(cls, spec: ModelSpec) -> "ModelRules":
        """The rules that follow from `spec`."""
        return cls(spec, FeatureSchema(spec))


Rules = Mapping[str, ModelRules]


def route_feedback(raw: bytes | None, rules: Rules, hide_user: HideUser | None) -> Decision:
    """What becomes of one record of feedback-events. Without `hide_user` a user_id is dropped, never stored."""
    try:
        event = Feedback.parse(raw or b"")
    except ValidationError as exc:
        return DeadLetter(UNREADABLE, _sentence(exc))
    if event.model not in rules:
        return DeadLetter(UNKNOWN_MODEL, f"no spec for model {event.model}")
    safe = _without_secrets(event, hide_user)
    if reason := _feedback_problem(safe, rules[event.model]):
        return Quarantine(
            event.model,
            str(event.event_id),
            event.kind,
            reason,
            _record(raw, event, safe),
            _micros(event.received_at),
            safe.user_hash,
        )
    return Store(safe.encode())


def route_prediction(raw: bytes | None, rules: Rules) -> Decision:
    """What becomes of one record of predictions."""
    try:
        event = Prediction.parse(raw or b"")
    except ValidationError as exc:
        return DeadLetter(UNREADABLE, _sentence(exc))
    if event.model not in rules:
        return DeadLetter(UNKNOWN_MODEL, f"no spec for model {event.model}")
    if reason := _prediction_problem(event, rules[event.model]):
        text = (raw or b"").decode("utf-8", "replace")
        return Quarantine(event.model, str(event.prediction_id), "prediction", reason, text, None, event.user_hash)
    return Store(event.encode())


def resolved_label(kind: str, label: str | float | None, predicted: str | float | None) -> str | float | None:
    """The right answer according to this feedback: what was predicted, where that is confirmed."""
    return predicted if kind == FeedbackKind.CONFIRMATION and predicted is not None else label


def _feedback_problem(event: Feedback, rules: ModelRules) -> str | None:
    if event.features is not None and (found := rules.schema.violations(event.features)):
        return "; ".join(f"features{problem.pointer}: {problem.detail}" for problem in found[:5])
    if event.kind in {FeedbackKind.CORRECTION, FeedbackKind.CONFIRMATION} and not (
        event.prediction_id or (event.features is not None and event.kind == FeedbackKind.CORRECTION)
    ):
        return "only an unverified feedback_token says which answer this is about; post it to the ingest API"
    if isinstance(event.predicted, float) != (rules.spec.task == "regression") and event.predicted is not None:
        return f"predicted: {event.predicted!r} is no answer of a {rules.spec.task} model"
    label = resolved_label(event.kind, event.label, event.predicted)
    for name, answer in (("label", event.label), ("label", label)):
        if answer is not None and (problem := answer_problem(answer, rules.spec)):
            return f"{name}: {problem}"
    return None


def _prediction_problem(event: Prediction, rules: ModelRules) -> str | None:
    if found := rules.schema.violations(event.features):
        return "; ".join(f"features{problem.pointer}: {problem.detail}" for problem in found[:5])
    if problem := answer_problem(event.label, rules.spec, bounded=False):
        return f"label: {problem}"
    if event.scores is not None and set(event.scores) != set(rules.spec.classes):
        return f"scores: name each of {', '.join(rules.spec.classes) or 'no classes'} once"
    return None


def answer_problem(answer: str | float, spec: ModelSpec, *, bounded: bool = True) -> str | None:
    """Why `answer` cannot be an answer of the model; None when it can. `bounded` holds a number to the spec's range."""
    if spec.task == "regression":
        if isinstance(answer, str):
            return f"{answer[:64]!r} is text, but the model's answers are numbers"
        if bounded and spec.label.range and not spec.label.range[0] <= answer <= spec.label.range[1]:
            return f"{answer:g} lies outside {spec.label.range[0]:g} to {spec.label.range[1]:g}"
        return None
    if answer not in spec.classes:
        return f"{answer!r:.80} is none of {', '.join(spec.classes[:20])}"
    return None


def _without_secrets(event: Feedback, hide_user: HideUser | None) -> Feedback:
    if event.user_id is None and event.feedback_token is None:
        return event
    hidden = hide_user(event.user_id) if hide_user and event.user_id is not None else event.user_hash
    return event.model_copy(update={"user_id": None, "feedback_token": None, "user_hash": hidden})


def _record(raw: bytes | None, event: Feedback, safe: Feedback) -> str:
    if event is safe:
        return (raw or b"").decode("utf-8", "replace")
    return safe.encode().decode()


def _micros(moment: object) -> int:
    from datetime import UTC, datetime, timedelta

    assert isinstance(moment, datetime)  # noqa: S101 - narrows for the type checker
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return json.dumps(f"{where}: {first['msg']}" if where else first["msg"])[1:-1][:500]
