"""Answering: instances in; label, scores and a signed token for each out."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from flywheel_schemas.tokens import TokenKeys, audit_drawn
from inference.application.ports import Answered, PredictionLog, Watches
from inference.application.served import ServedModel

_random = random.Random()  # noqa: S311 - see prediction_ids


_VERSION_AND_VARIANT = 7 << 76 | 2 << 62
_LOW_62 = (1 << 62) - 1


class Answer(msgspec.Struct, gc=False):
    """One prediction as a client reads it.

    `contributions` are SHAP values in the model's raw units (binary: log-odds of the positive class; multiclass: of
    the predicted class; regression: the label's unit); with `base_value` they add up to the raw score.
    """

    prediction_id: str
    feedback_token: str
    feedback_requested: bool
    label: str | float
    scores: dict[str, float] | None
    model_version: str
    variant: str
    contributions: dict[str, float] | UnsetType = UNSET
    base_value: float | UnsetType = UNSET


class Question(msgspec.Struct, frozen=True, gc=False):
    """One request. `started_s` is by the monotonic clock."""

    rows: Sequence[Any]
    user_id: str | None
    traceparent: str
    started_s: float
    explain: bool = False


def prediction_ids(count: int, now_s: float) -> list[str]:
    """`count` new UUIDs of version 7: they begin with the time, so that neighbours in time are neighbours in files."""
    base = int(now_s * 1000) << 80 | _VERSION_AND_VARIANT
    found = []
    for _ in range(count):
        # An id need be unique, not secret (its token is signed); the system's own generator costs 30 times as much.
        noise = _random.getrandbits(74)
        h = f"{base | noise >> 62 << 64 | noise & _LOW_62:032x}"
        found.append(f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}")
    return found


class AnswerQuestions:
    """Answers questions with whatever version it is given. Safe to use from several threads."""

    def __init__(
        self, keys: TokenKeys, log: PredictionLog, watches: Watches, now_s: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._log = log
        self._watches = watches
        self._now_s = now_s

    def answer(self, served: ServedModel, question: Question) -> list[Answer]:
        """One answer per row, in order. Also hands them to the prediction log, which cannot fail."""
        now_s = self._now_s()
        answers = self._decided(served, question, now_s)
        seconds = time.perf_counter() - question.started_s
        self._log.offer(
            Answered(
                model=served.name,
                version=served.version,
                variant=served.variant,
                rows=question.rows,
                answers=answers,
                user_hash=None if question.user_id is None else self._keys.user_hash(question.user_id),
                answered_at_s=now_s,
                latency_ms=round(seconds * 1000.0, 3),
                traceparent=question.traceparent,
            )
        )
        self._watches.answered(served.name, served.version, served.variant, len(answers), seconds)
        return answers

    def _decided(self, served: ServedModel, question: Question, now_s: float) -> list[Answer]:
        audit_percent = served.spec.feedback.audit_percent
        ids = prediction_ids(len(question.rows), now_s)
        if len(ids) == 1 and not question.explain:
            raw = served.booster.predict_one(served.schema.numbers(question.rows[0]))
            return [_answer(served, ids[0], raw, audit_percent, int(now_s))]
        matrix = served.schema.rows(list(question.rows))
        answers = [
            _answer(served, one_id, raw, audit_percent, int(now_s))
            for one_id, raw in zip(ids, served.booster.predict(matrix).tolist(), strict=True)
        ]
        if question.explain:
            _explain(served, answers, served.booster.contributions(matrix))
        return answers


def _answer(
    served: ServedModel, prediction_id: str, raw: list[float], audit_percent: float, issued_at_s: int
) -> Answer:
    label, scores = served.answers.decide(raw)
    audited = audit_drawn(prediction_id, audit_percent)
    token = served.signer.sign(prediction_id, label, audited, issued_at_s)
    return Answer(prediction_id, token, audited, label, scores, served.version, served.variant)


def _explain(served: ServedModel, answers: list[Answer], contributions: np.ndarray) -> None:
    classes = served.answers.classes
    for answer, per_output in zip(answers, contributions, strict=True):
        shares = per_output[classes.index(str(answer.label)) if len(per_output) > 1 else 0].tolist()
        answer.contributions = dict(zip(served.schema.names, shares, strict=False))
        answer.base_value = shares[-1]
