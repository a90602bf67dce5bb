"""What a rollout does next, for everything that can be known of a challenger."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.sequential import Arm, Outcomes, Stratum
from flywheel_schemas.spec import RolloutPolicy
from trainer.domain.rollout import Action, Release, Standing, Trial
from trainer.domain.verdict import Evidence, Health, Verdict, decide

START = datetime(2026, 11, 24, tzinfo=UTC)
POLICY = RolloutPolicy.model_validate({"strategy": "canary", "steps": [5, 25], "min_feedback": 200})


def standing(percent: float, *, paused: bool = False, strategy: str = "canary") -> Standing:
    one, two = (Release(version, "r", "s3://m", "0") for version in "12")
    return Standing(one, (), Trial(two, strategy, percent, START, START, paused=paused))


def answers(own: int, theirs: int, *, of: int = 1000) -> tuple[Stratum, ...]:
    arms = [Arm({"late": Outcomes(of, right, right)}) for right in (theirs, own)]
    return (Stratum(*arms),)


def decided(percent: float, evidence: Evidence, *, after: timedelta = timedelta(hours=1), **trial: object) -> Verdict:
    return decide(standing(percent, **trial), evidence, POLICY, START + after)  # type: ignore[arg-type]


def action(found: Verdict) -> str | None:
    return found.step.action.value if found.step else None


def test_the_shadow_ends_with_enough_answers_and_not_before() -> None:
    assert action(decided(0.0, Evidence(shadowed=499))) is None
    found = decided(0.0, Evidence(shadowed=500))
    assert (action(found), found.step and found.step.percent) == ("canary", 5.0)


def test_a_step_needs_its_audited_answers_and_the_last_one_proof_that_it_is_not_worse() -> None:
    few = decided(5.0, Evidence(strata=answers(140, 140, of=199)))
    assert (action(few), few.why) == (None, "199 of 200 audited answers at 5 %")
    enough = decided(5.0, Evidence(strata=answers(140, 140, of=200)))
    assert (action(enough), enough.step and enough.step.percent) == ("canary", 25.0)
    unsure = decided(25.0, Evidence(strata=answers(140, 140, of=200)))
    assert action(unsure) is None
    assert "must be above -0.02" in unsure.why
    sure = decided(25.0, Evidence(strata=answers(28_000, 28_000, of=40_000)))
    assert action(sure) == "promoted"
    assert "not worse by more than 0.02" in sure.why
    better = decided(25.0, Evidence(strata=answers(29_500, 28_000, of=40_000)))
    assert action(better) == "promoted"
    assert "better by 0.03" in better.why


@pytest.mark.parametrize("percent", [5.0, 25.0])
def test_a_challenger_that_is_worse_is_taken_back_even_when_paused_or_without_enough_for_a_step(percent: float) -> None:
    for paused in (False, True):
        found = decided(percent, Evidence(strata=answers(60, 150, of=190)), paused=paused)
        assert action(found) == "rolled_back"
        assert "worse by" in found.why


HEALTHS = {
    "a replica cannot load it": (Health(problem="not loaded (corrupt)"), True),
    "failing": (Health(requests=400, failed=5), True),
    "a failure in few requests": (Health(requests=10, failed=4), False),
    "few failures in many": (Health(requests=10_000, failed=50), False),
    "slow": (Health(requests=100, p99_ms=80.0, champion_p99_ms=20.0), True),
    "slow because everything is": (Health(requests=100, p99_ms=80.0, champion_p99_ms=95.0), False),
    "nothing measured": (Health(), False),
    "NaN": (Health(requests=100, p99_ms=math.nan, champion_p99_ms=math.nan), False),
}


@pytest.mark.parametrize("name", HEALTHS)
@pytest.mark.parametrize("percent", [0.0, 5.0, 25.0])
@pytest.mark.parametrize("paused", [False, True])
def test_guardrails_take_back_at_once_and_what_is_not_measured_takes_nothing_back(
    name: str, percent: float, paused: bool
) -> None:
    health, bad = HEALTHS[name]
    found = decided(percent, Evidence(health=health), paused=paused)
    assert (action(found) == "rolled_back") is bad


@given(st.sampled_from([0.0, 5.0, 25.0]), st.booleans())
def test_without_evidence_nothing_happens_until_the_time_is_over(percent: float, paused: bool) -> None:
    assert action(decided(percent, Evidence(), after=timedelta(days=6), paused=paused)) is None
    over = decided(percent, Evidence(), after=timedelta(days=8), paused=paused)
    assert action(over) == (None if paused else "rolled_back")
    if not paused:
        assert over.why.startswith("could not decide within 7 days")


@given(st.sampled_from([0.0, 5.0, 25.0]), st.integers(0, 2000), st.integers(0, 2000))
def test_a_paused_rollout_never_advances(percent: float, own: int, theirs: int) -> None:
    evidence = Evidence(shadowed=10_000, strata=answers(own, theirs, of=2000))
    assert action(decided(percent, evidence, paused=True)) in {None, "rolled_back"}


@given(st.sampled_from([0.0, 5.0, 25.0]), st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 1000))
def test_a_step_always_leads_to_more_traffic_or_to_an_end(percent: float, own: int, theirs: int, aside: int) -> None:
    found = decided(percent, Evidence(shadowed=aside, strata=answers(own, theirs, of=3000)))
    if found.step is None:
        return
    if found.step.action is Action.CANARY:
        assert found.step.percent > percent
    else:
        assert found.step.standing.trial is None
        assert found.step.action in {Action.PROMOTED, Action.ROLLED_BACK}


def test_without_a_trial_there_is_nothing_to_decide() -> None:
    assert decide(Standing(), Evidence(), POLICY, START).step is None


def test_blue_green_goes_from_the_shadow_to_all_traffic_and_then_waits_for_proof() -> None:
    found = decided(0.0, Evidence(shadowed=500), strategy="blue_green")
    assert (action(found), found.step and found.step.percent) == ("canary", 100.0)
    assert action(decided(100.0, Evidence(strata=answers(700, 700)), strategy="blue_green")) is None
