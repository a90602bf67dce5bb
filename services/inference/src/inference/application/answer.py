"""Answering: instances in; label, scores and a signed token for each out."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from flywheel_schemas.events import Variant
from flywheel_schemas.tokens import TokenKeys, audit_drawn, audits_drawn
from inference.application.ports import Answered, PredictionLog, Watches
from inference.application.served import Lineup, ServedModel, Trial
from inference.domain.variants import Traffic, choose_variant
from telemetry import logging

log = logging.get(__name__)

_random = random.Random()  # noqa: S311 - see prediction_ids
# RFC 9562: the first digit of the fourth group begins with the bits 10.
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


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
    time_part = f"{int(now_s * 1000):012x}"
    begin = f"{time_part[:8]}-{time_part[8:]}-7"
    # An id need be unique, not secret (its token is signed); the system's own generator costs 30 times as much.
    noise = _random.randbytes(10 * count).hex()
    return [
        f"{begin}{noise[at : at + 3]}-{_VARIANT[noise[at + 3]]}{noise[at + 4 : at + 7]}-{noise[at + 7 : at + 19]}"
        for at in range(0, 20 * count, 20)
    ]


class AsideLog(Protocol):
    """Takes what a challenger in the shadow is to answer too. Never blocks and never raises."""

    def offer(self, trial: Trial, question: Question, answers: Sequence[Answer], user_hash: str | None) -> None:
        """The champion's answers to the question, for comparison."""


class AnswerQuestions:
    """Answers questions with whatever lineup it is given. Safe to use from several threads."""

    def __init__(
        self,
        keys: TokenKeys,
        log: PredictionLog,
        watches: Watches,
        aside: AsideLog,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._log = log
        self._watches = watches
        self._aside = aside
        self._now_s = now_s

    def answer(self, lineup: Lineup, question: Question) -> list[Answer]:
        """One answer per row, in order. Also hands them to the prediction log, which cannot fail.

        A challenger answers the users (or rows, where the question names no user) that are drawn for it; where it
        fails, the champion answers them instead.
        """
        now_s = self._now_s()
        ids = prediction_ids(len(question.rows), now_s)
        if not lineup.serves:
            return _unrecorded(lineup.champion, question, ids, now_s)
        trial = lineup.trial
        if trial is None:
            return self._by(lineup.champion, question, ids, now_s)
        drawn = _drawn(lineup, trial, question.user_id, ids)
        if not any(drawn):
            answers = self._by(lineup.champion, question, ids, now_s)
            trial.watch.champion_answered(time.perf_counter() - question.started_s)
        elif all(drawn):
            answers = self._tried(lineup.champion, trial, question, ids, now_s)
        else:
            answers = self._shared(lineup.champion, trial, (question, ids, drawn), now_s)
        if trial.percent <= 0.0:
            self._aside.offer(trial, question, answers, self._hash(question.user_id))
        return answers

    def _tried(
        self, champion: ServedModel, trial: Trial, question: Question, ids: list[str], now_s: float
    ) -> list[Answer]:
        try:
            answers = self._by(trial.challenger, question, ids, now_s)
        except Exception as exc:
            trial.watch.failed()
            log.warning("challenger_failed", model=champion.name, version=trial.challenger.version, reason=str(exc))
            return self._by(champion, question, ids, now_s)
        trial.watch.answered(time.perf_counter() - question.started_s)
        return answers

    def _shared(
        self, champion: ServedModel, trial: Trial, drawn: tuple[Question, list[str], list[bool]], now_s: float
    ) -> list[Answer]:
        """Both answer their own rows of one question."""
        question, ids, own = drawn
        answered: dict[str, Answer] = {}
        for challenges in (False, True):
            places = [place for place, drawn_here in enumerate(own) if drawn_here is challenges]
            part = msgspec.structs.replace(question, rows=[question.rows[place] for place in places])
            part_ids = [ids[place] for place in places]
            found = (
                self._tried(champion, trial, part, part_ids, now_s)
                if challenges
                else self._by(champion, part, part_ids, now_s)
            )
            answered.update(zip(part_ids, found, strict=True))
        return [answered[one_id] for one_id in ids]

    def _by(self, served: ServedModel, question: Question, ids: list[str], now_s: float) -> list[Answer]:
        answers = decided(served, question.rows, ids, now_s, explain=question.explain)
        seconds = time.perf_counter() - question.started_s
        self._log.offer(
            Answered(
                model=served.name,
                version=served.version,
                variant=served.variant,
                rows=question.rows,
                answers=answers,
                user_hash=self._hash(question.user_id),
                answered_at_s=now_s,
                latency_ms=round(seconds * 1000.0, 3),
                traceparent=question.traceparent,
            )
        )
        self._watches.answered(served.name, served.version, served.variant, len(answers), seconds)
        return answers

    def _hash(self, user_id: str | None) -> str | None:
        return None if user_id is None else self._keys.user_hash(user_id)


def decided(
    served: ServedModel, rows: Sequence[Any], ids: Sequence[str], now_s: float, *, explain: bool = False
) -> list[Answer]:
    """What `served` answers to `rows`, under the prediction ids given."""
    audit_percent = served.spec.feedback.audit_percent
    if len(ids) == 1 and not explain:
        raw = served.booster.predict_one(served.schema.numbers(rows[0]))
        return [_answer(served, ids[0], raw, audit_percent, int(now_s))]
    matrix = served.schema.rows(list(rows))
    decisions = map(served.answers.decide, served.booster.predict(matrix).tolist())
    sign, issued_at_s, version, variant = served.signer.sign, int(now_s), served.version, served.variant
    answers = [
        Answer(one_id, sign(one_id, label, audited, issued_at_s), audited, label, scores, version, variant)
        for one_id, audited, (label, scores) in zip(ids, audits_drawn(ids, audit_percent), decisions, strict=True)
    ]
    if explain:
        _explain(served, answers, served.booster.contributions(matrix))
    return answers


def _unrecorded(served: ServedModel, question: Question, ids: Sequence[str], now_s: float) -> list[Answer]:
    """What a version that serves nobody would answer: it goes into no figures, and no feedback is taken on it."""
    answers = decided(served, question.rows, ids, now_s, explain=question.explain)
    for answer in answers:
        answer.feedback_token, answer.feedback_requested, answer.variant = "", False, "none"
    return answers


def _drawn(lineup: Lineup, trial: Trial, user_id: str | None, ids: Sequence[str]) -> list[bool]:
    """Which rows the challenger answers: a user's all or none, else each prediction by its own id."""
    if trial.percent <= 0.0 or not trial.watch.may_answer:
        return [False] * len(ids)
    traffic = Traffic(lineup.name, trial.percent)
    if user_id is not None:
        return [choose_variant(traffic, user_id) is Variant.CHALLENGER] * len(ids)
    return [choose_variant(traffic, one_id) is Variant.CHALLENGER for one_id in ids]


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
        answer.contributions = dict(zip(served.schema.columns, shares, strict=False))
        answer.base_value = shares[-1]
