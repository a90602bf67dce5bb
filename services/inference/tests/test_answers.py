import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel_schemas.events import Prediction
from flywheel_schemas.tokens import FeedbackToken, TokenKeys, audit_drawn
from flywheel_schemas.topics import PREDICTIONS
from inference.adapters import prediction_events
from inference.application.answer import AnswerQuestions, Question, prediction_ids
from inference.application.ports import Answered, ModelRefused
from inference.application.served import Lineup, ServedModel
from kafka_runtime import cloud_events

from .conftest import make_spec, records_of

NOW_S = 1_795_528_480.25
Make = Callable[..., ServedModel]


class Noted:
    """A prediction log and watches that remember."""

    def __init__(self) -> None:
        self.offered: list[Answered] = []
        self.seen: list[tuple[str, str, str, int]] = []

    def offer(self, *offered: Any) -> None:
        self.offered.append(offered[0])

    def answered(self, model: str, version: str, variant: str, rows: int, seconds: float) -> None:
        self.seen.append((model, version, variant, rows))

    def swapped(self, model: str, seconds: float) -> None: ...

    def refused(self, model: str, kind: str) -> None: ...


def ask(served: ServedModel, keys: TokenKeys, *instances: dict[str, Any], **question: Any) -> tuple[list[Any], Noted]:
    noted = Noted()
    rows = [msgspec.convert(instance, served.schema.row_type) for instance in instances]
    answer = AnswerQuestions(keys, noted, noted, noted, now_s=lambda: NOW_S)
    asked = Question(rows, question.pop("user_id", None), "00-trace", time.perf_counter(), **question)
    return answer.answer(Lineup(served), asked), noted


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_one_row_alone_gets_the_answer_it_gets_among_others(task: str, served: Make, keys: TokenKeys) -> None:
    model = served(task)
    rows = [{"carrier": c, "distance": 100.0 * i} for i, c in enumerate(["UA", "AA", "B6"])]
    several, _ = ask(model, keys, *rows)
    for row, among in zip(rows, several, strict=True):
        [alone], _ = ask(model, keys, row)
        assert (alone.label, alone.scores) == (among.label, among.scores)
    if task != "regression":
        assert set(several[0].scores) == set(model.spec.classes)
        assert sum(several[0].scores.values()) == pytest.approx(1.0)
        assert several[0].label == max(several[0].scores, key=several[0].scores.get)


def test_the_token_says_who_answered_what_and_whether_feedback_was_asked_for(served: Make, keys: TokenKeys) -> None:
    model = served(feedback={"audit_percent": 30})
    answers, _ = ask(model, keys, *[{"carrier": "UA"}] * 400)
    for answer in answers:
        token = keys.verify(answer.feedback_token, now_s=NOW_S, max_age_s=1)
        audited = audit_drawn(answer.prediction_id, 30.0)
        assert answer.feedback_requested == audited
        assert token == FeedbackToken(
            answer.prediction_id, "flights", "1", "champion", answer.label, audited, int(NOW_S)
        )
    assert 60 < sum(answer.feedback_requested for answer in answers) < 180


@given(st.text(max_size=20) | st.floats(allow_nan=False), st.booleans(), st.integers(0, 2**40), st.text(max_size=9))
def test_the_quick_signer_signs_as_the_slow_one(predicted: str | float, audited: bool, at_s: int, model: str) -> None:
    if any("\ud800" <= c <= "\udfff" for c in f"{predicted}{model}"):
        return
    keys, one_id = TokenKeys("a key for tests only"), str(uuid.uuid4())
    signer = keys.signer(model, "7", "champion")
    expected = keys.sign(FeedbackToken(one_id, model, "7", "champion", predicted, audited, at_s))
    assert signer.sign(one_id, predicted, audited, at_s) == expected
    assert signer.sign(one_id, predicted, audited, at_s) == expected


def test_prediction_ids_are_distinct_uuids_in_order_of_time() -> None:
    ids = [*prediction_ids(500, NOW_S), *prediction_ids(500, NOW_S + 1)]
    assert len(set(ids)) == 1000
    assert all(uuid.UUID(one).version == 7 and uuid.UUID(one).variant == uuid.RFC_4122 for one in ids)
    assert max(ids[:500]) < min(ids[500:])
    assert uuid.UUID(ids[0]).int >> 80 == int(NOW_S * 1000)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_event_is_the_published_contract(task: str, served: Make, keys: TokenKeys) -> None:
    rows = [{"carrier": "UA", "distance": 7, "hour": None}, {"carrier": "AA"}]
    answers, noted = ask(served(task), keys, *rows, user_id="ü")
    [answered] = noted.offered
    assert noted.seen == [("flights", "1", "champion", 2)]
    for record, answer, row in zip(records_of(answered), answers, rows, strict=True):
        event = Prediction.parse(record.value)
        assert json.loads(event.encode()) == json.loads(record.value) | {"occurred_at": "2026-11-24T13:54:40.250000Z"}
        assert (str(event.prediction_id), event.label, event.scores) == (
            answer.prediction_id,
            answer.label,
            answer.scores,
        )
        assert event.features == {name: value for name, value in row.items() if value is not None}
        assert event.user_hash == keys.user_hash("ü")
        assert event.occurred_at.timestamp() == NOW_S
        expected = cloud_events.headers(
            PREDICTIONS, answer.prediction_id, prediction_events.SOURCE, event.occurred_at, "00-trace"
        )
        assert sorted(record.headers) == sorted(expected)
        assert record.key == answer.prediction_id.encode()


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_contributions_and_base_add_up_to_the_raw_score(task: str, served: Make, keys: TokenKeys) -> None:
    model = served(task)
    [answer], _ = ask(model, keys, {"carrier": "B6", "distance": 10.0}, explain=True)
    raw = answer.base_value + sum(answer.contributions.values())
    assert set(answer.contributions) == set(model.schema.names)
    if task == "regression":
        assert raw == pytest.approx(answer.label)
    if task == "binary":
        assert 1 / (1 + pow(2.718281828459045, -raw)) == pytest.approx(answer.scores["late"])


def test_a_booster_that_does_not_fit_its_spec_is_refused(served: Make, keys: TokenKeys) -> None:
    from inference.application.served import make_served

    model = served()
    renamed = make_spec(features=[{"name": "x", "type": "number"}])
    for spec in (renamed, make_spec("multiclass"), make_spec(name="other")):
        with pytest.raises(ModelRefused) as refusal:
            make_served(model.artifact, model.since, spec, model.booster, keys)
        assert refusal.value.kind == "misfit"
