"""A challenger beside the champion: who answers whom, aside or for real, and what becomes of one that fails."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from flywheel_schemas.events import Prediction, Variant
from flywheel_schemas.tokens import TokenKeys
from inference.application.answer import Answer, AnswerQuestions, Question
from inference.application.aside import Aside
from inference.application.ports import Answered, Booster
from inference.application.served import Lineup, ServedModel, Trial, in_role
from inference.application.watch import Watch
from inference.domain.tripping import LEAST_FAILURES, WINDOW, Fuse

from .conftest import records_of

Make = Callable[..., ServedModel]
NOW = datetime(2026, 11, 24, tzinfo=UTC)


class Log:
    """A prediction log and watches that remember."""

    def __init__(self) -> None:
        self.offered: list[Answered] = []

    def offer(self, answered: Answered) -> None:
        self.offered.append(answered)

    def answered(self, model: str, version: str, variant: str, rows: int, seconds: float) -> None: ...

    def swapped(self, model: str, seconds: float) -> None: ...

    def refused(self, model: str, kind: str) -> None: ...


class Failing:
    """A booster that answers nothing."""

    def __init__(self, booster: Booster) -> None:
        self.feature_names, self.outputs = booster.feature_names, booster.outputs

    def predict_one(self, numbers: list[float]) -> list[float]:
        raise RuntimeError("no leaf for this row")

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        raise RuntimeError("no leaf for this row")

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        raise RuntimeError("no leaf for this row")


class Bench:
    """Champion 1 and challenger 2, and somebody who asks."""

    def __init__(self, served: Make, keys: TokenKeys, percent: float, *, failing: bool = False) -> None:
        variant = Variant.CHALLENGER if percent else Variant.SHADOW
        challenger = in_role(served(version="2"), variant, keys)
        if failing:
            challenger = replace(challenger, booster=Failing(challenger.booster))
        self.watch = Watch("flights", "2", 0.01, NOW)
        self.lineup = Lineup(served(version="1"), Trial(challenger, percent, self.watch))
        self.log, self.shadow_log = Log(), Log()
        self.now_s = 0.0
        self.aside = Aside(self.shadow_log, rows_per_s=500, clock_s=lambda: self.now_s)
        self._answer = AnswerQuestions(keys, self.log, self.log, self.aside)

    def ask(self, *instances: dict[str, Any], user: str | None = None) -> list[Answer]:
        rows = [msgspec.convert(instance, self.lineup.champion.schema.row_type) for instance in instances]
        return self._answer.answer(self.lineup, Question(rows, user, "00-trace", time.perf_counter()))

    def answer_aside(self) -> None:
        """All that waits, given time."""
        for _ in range(100):
            self.now_s += 1.0
            self.aside.some()


def test_a_user_meets_one_variant_whatever_is_asked_and_a_growing_share_moves_only_who_must(
    served: Make, keys: TokenKeys
) -> None:
    users = [f"user-{number}" for number in range(400)]
    met: dict[float, set[str]] = {}
    for percent in (5.0, 25.0):
        bench = Bench(served, keys, percent)
        again = Bench(served, keys, percent)
        met[percent] = set()
        for user in users:
            answers = [
                *bench.ask({"carrier": "UA"}, {"carrier": "B6"}, user=user),
                *again.ask({"carrier": "AA"}, user=user),
            ]
            assert len({answer.variant for answer in answers}) == 1
            if answers[0].variant == "challenger":
                assert answers[0].model_version == "2"
                met[percent].add(user)
    assert met[5.0] < met[25.0]
    assert 5 <= len(met[5.0]) <= 40
    assert 60 <= len(met[25.0]) <= 140


def test_rows_without_a_user_are_drawn_one_by_one_and_come_back_in_order(served: Make, keys: TokenKeys) -> None:
    bench = Bench(served, keys, 50.0)
    rows = [{"carrier": "UA", "distance": float(number)} for number in range(60)]
    answers = bench.ask(*rows)
    by_variant = {answer.variant for answer in answers}
    assert by_variant == {"champion", "challenger"}
    told = {record.key: record for answered in bench.log.offered for record in records_of(answered)}
    assert len(told) == 60
    for row, answer in zip(rows, answers, strict=True):
        event = Prediction.parse(told[answer.prediction_id.encode()].value)
        assert (event.model_version, event.variant.value) == (answer.model_version, answer.variant)
        assert event.features["distance"] == row["distance"]
        token = keys.verify(answer.feedback_token, now_s=time.time(), max_age_s=60)
        assert (token.model_version, token.variant) == (answer.model_version, answer.variant)


def test_the_champion_answers_what_the_challenger_cannot_until_it_is_asked_no_more(
    served: Make, keys: TokenKeys
) -> None:
    bench, woken = Bench(served, keys, 50.0, failing=True), []
    bench.watch.on_trip = lambda: woken.append(True)
    for _ in range(100):
        [answer] = bench.ask({"carrier": "UA"})
        assert answer.model_version == "1"
    health = bench.watch.tell("1", "here", NOW)
    assert (health.requests, health.failed) == (LEAST_FAILURES, LEAST_FAILURES)
    assert "failed" in str(health.problem)
    assert woken == [True]


def test_a_challenger_in_the_shadow_answers_everything_aside_and_nobody_meets_it(served: Make, keys: TokenKeys) -> None:
    bench = Bench(served, keys, 0.0)
    answers = [a for n in range(30) for a in bench.ask({"carrier": "UA", "distance": 90.0 * n}, user="u")]
    assert {answer.variant for answer in answers} == {"champion"}
    assert not bench.shadow_log.offered
    bench.answer_aside()
    events = [Prediction.parse(r.value) for a in bench.shadow_log.offered for r in records_of(a)]
    assert {(event.model_version, event.variant, event.audited) for event in events} == {("2", Variant.SHADOW, False)}
    assert not {str(event.prediction_id) for event in events} & {answer.prediction_id for answer in answers}
    health = bench.watch.tell("1", "here", NOW)
    differing = sum(event.label != answer.label for event, answer in zip(events, answers, strict=True))
    assert (health.shadowed, health.disagreed) == (30, differing)
    assert sum(n for own in health.disagreement.values() for n in own.values()) == differing
    assert health.slices == {"carrier=UA": [30, differing]}


def test_what_is_more_than_the_shadow_may_answer_is_passed_over(served: Make, keys: TokenKeys) -> None:
    bench = Bench(served, keys, 0.0)
    for _ in range(600):
        for _ in range(2):
            bench.ask({"carrier": "UA"}, {"carrier": "B6"})
        bench.aside.some()
        bench.now_s += 0.005
    answered = sum(len(offered.answers) for offered in bench.shadow_log.offered)
    assert 1400 <= answered <= 3.1 * 500


def test_while_requests_wait_the_shadow_answers_hardly_any(served: Make, keys: TokenKeys) -> None:
    bench = Bench(served, keys, 0.0)
    for _ in range(600):
        bench.ask({"carrier": "UA"})
        bench.aside.some(busy=True)
        bench.now_s += 0.005
    assert 50 <= len(bench.shadow_log.offered) <= 62


def test_a_failing_shadow_is_told_of_and_no_request_feels_it(served: Make, keys: TokenKeys) -> None:
    bench = Bench(served, keys, 0.0, failing=True)
    for _ in range(10):
        assert bench.ask({"carrier": "UA"})[0].model_version == "1"
    bench.answer_aside()
    assert bench.watch.tell("1", "here", NOW).failed == 10
    assert not bench.watch.may_answer


@pytest.mark.parametrize("healthy", [0, WINDOW, 10_000])
def test_a_fuse_blows_by_the_last_requests_however_many_went_well_before(healthy: int) -> None:
    fuse = Fuse(0.01)
    for _ in range(healthy):
        assert not fuse.note(failed=False)
    blew = [fuse.note(failed=True) for _ in range(LEAST_FAILURES + 3)]
    assert blew.count(True) == 1
    assert blew.index(True) == LEAST_FAILURES - 1


def test_a_fuse_holds_below_its_limit() -> None:
    fuse = Fuse(0.05)
    assert not any(fuse.note(failed=number % 25 == 0) for number in range(5000))
