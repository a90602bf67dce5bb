"""Every transition that there is, from every standing, and what must hold in all of them."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel_schemas.spec import RolloutPolicy
from trainer.domain import rollout
from trainer.domain.errors import NotAllowed
from trainer.domain.rollout import Action, Release, Standing, Step, Trial

NOW = datetime(2026, 11, 24, tzinfo=UTC)
CANARY, INSTANT = RolloutPolicy(strategy="canary"), RolloutPolicy()


def release(version: str, judged_against: str | None = "1") -> Release:
    return Release(version, f"run-{version}", f"s3://m/{version}", version * 8, judged_against=judged_against)


ONE, TWO, THREE, FOUR = (release(version) for version in "1234")


def on_trial(percent: float = 5.0, *, paused: bool = False, strategy: str = "canary") -> Trial:
    return Trial(TWO, strategy, percent, NOW, NOW, paused=paused)


EMPTY = Standing()
SERVING = Standing(ONE, (release("0"),))
SHADOW = Standing(ONE, (release("0"),), on_trial(0.0))
TRYING = Standing(ONE, (release("0"),), on_trial())
PAUSED = Standing(ONE, (release("0"),), on_trial(paused=True))
CROWDED = Standing(ONE, (release("0"),), on_trial(), THREE)
EVERY = (EMPTY, SERVING, SHADOW, TRYING, PAUSED, CROWDED)


def every_step(standing: Standing) -> list[Step]:
    """Each transition that is allowed from `standing`."""
    tries = [
        lambda: rollout.register(standing, FOUR, "trained"),
        lambda: rollout.after_gates(standing, FOUR, ["metric: worse"], CANARY, NOW),
        lambda: rollout.after_gates(standing, FOUR, [], CANARY, NOW),
        lambda: rollout.after_gates(standing, FOUR, [], INSTANT, NOW),
        lambda: rollout.after_gates(standing, replace(FOUR, judged_against=None), [], CANARY, NOW),
        lambda: rollout.next_of_waiting(standing, CANARY, NOW),
        lambda: rollout.begin(standing, FOUR, "canary", "by hand", NOW),
        lambda: rollout.advance(standing, 25.0, "well", NOW),
        lambda: rollout.take_back(standing, "worse"),
        lambda: rollout.promote(standing, FOUR, "by hand"),
        lambda: rollout.promote(standing, TWO, "by hand"),
        lambda: rollout.rollback(standing, None, "by hand"),
        lambda: rollout.rollback(standing, release("0"), "by hand"),
        lambda: rollout.pause(standing, "by hand"),
        lambda: rollout.resume(standing, "by hand"),
    ]
    found = []
    for attempt in tries:
        try:
            step = attempt()
        except NotAllowed:
            continue
        if step is not None:
            found.append(step)
    return found


@given(st.lists(st.integers(0, 20), max_size=12))
def test_whatever_happens_somebody_serves_and_nobody_has_two_places(choices: list[int]) -> None:
    standing = EMPTY
    for choice in choices:
        steps = every_step(standing)
        step = steps[choice % len(steps)]
        had_champion = standing.champion is not None
        standing = step.standing
        if had_champion:
            assert standing.champion is not None
        places = [standing.champion, *standing.former, standing.trial and standing.trial.release, standing.waiting]
        versions = [place.version for place in places if place]
        serving = [place.version for place in (standing.champion, standing.trial and standing.trial.release) if place]
        assert len(set(serving)) == len(serving)
        assert len({each.version for each in standing.former}) == len(standing.former)
        assert standing.champion is None or standing.champion.version not in [f.version for f in standing.former]
        assert 0.0 <= step.percent <= 100.0
        assert versions or step.action in {Action.REGISTERED, Action.REJECTED}


def test_every_standing_offers_exactly_these_actions() -> None:
    offered = {name: {s.action.value for s in every_step(standing)} for name, standing in zip(
        ("empty", "serving", "shadow", "trying", "paused", "crowded"), EVERY, strict=True
    )}  # fmt: skip
    assert offered == {
        "empty": {"registered", "rejected", "promoted"},
        "serving": {"registered", "rejected", "promoted", "shadow", "rolled_back"},
        "shadow": {"registered", "rejected", "waiting", "canary", "promoted", "rolled_back", "paused"},
        "trying": {"registered", "rejected", "waiting", "canary", "promoted", "rolled_back", "paused"},
        "paused": {"registered", "rejected", "waiting", "canary", "promoted", "rolled_back", "resumed"},
        "crowded": {"registered", "rejected", "superseded", "canary", "promoted", "rolled_back", "paused"},
    }


def test_a_good_candidate_goes_by_its_strategy_and_the_first_model_at_once() -> None:
    assert rollout.after_gates(SERVING, TWO, [], INSTANT, NOW).standing == Standing(TWO, (ONE, release("0")))
    begun = rollout.after_gates(SERVING, TWO, [], CANARY, NOW)
    assert (begun.action, begun.percent, begun.standing.champion) == (Action.SHADOW, 0.0, ONE)
    first = rollout.after_gates(EMPTY, replace(TWO, judged_against=None), [], CANARY, NOW)
    assert (first.action, first.percent, first.previous) == (Action.PROMOTED, 100.0, None)


@pytest.mark.parametrize("standing", EVERY)
def test_a_failed_gate_or_a_changed_champion_rejects_and_changes_nothing_else(standing: Standing) -> None:
    failed = rollout.after_gates(standing, FOUR, ["latency: 9 ms", "metric: worse"], CANARY, NOW)
    assert (failed.action, failed.reason, failed.standing) == (
        Action.REJECTED,
        "latency: 9 ms; metric: worse",
        standing,
    )
    stale = rollout.after_gates(standing, release("4", "7"), [], CANARY, NOW)
    assert (stale.action, stale.standing) == (Action.REJECTED, standing)
    assert "changed from 7" in stale.reason


def test_of_those_that_wait_the_newest_stays_and_follows_a_rollback_but_not_a_promotion() -> None:
    makes_place = rollout.after_gates(CROWDED, FOUR, [], CANARY, NOW)
    assert (makes_place.action, makes_place.release) == (Action.SUPERSEDED, THREE)
    waits = rollout.after_gates(makes_place.standing, FOUR, [], CANARY, NOW)
    assert (waits.action, waits.standing.waiting) == (Action.WAITING, FOUR)
    assert rollout.next_of_waiting(waits.standing, CANARY, NOW) is None
    after_rollback = rollout.next_of_waiting(rollout.take_back(waits.standing, "bad").standing, CANARY, NOW)
    assert after_rollback is not None
    assert (after_rollback.action, after_rollback.release) == (Action.SHADOW, FOUR)
    promoted = rollout.take_over(waits.standing, TWO, "good")
    after_promotion = rollout.next_of_waiting(promoted.standing, CANARY, NOW)
    assert after_promotion is not None
    assert (after_promotion.action, after_promotion.release) == (Action.SUPERSEDED, FOUR)
    assert after_promotion.standing.waiting is None


def test_a_step_remembers_how_long_the_one_before_lasted() -> None:
    step = rollout.advance(SHADOW, 5.0, "well", NOW).standing
    assert step.trial is not None
    assert step.trial.passed == ()
    again = rollout.advance(step, 25.0, "well", NOW).standing
    assert again.trial is not None
    assert [(passed.percent, passed.since) for passed in again.trial.passed] == [(5.0, NOW)]


@pytest.mark.parametrize(("strategy", "steps"), [("canary", [5.0, 25.0, 50.0]), ("blue_green", [100.0])])
def test_the_steps_are_those_of_the_strategy_then_the_challenger_is_champion(strategy: str, steps: list[float]) -> None:
    trial, seen = on_trial(0.0, strategy=strategy), []
    while (percent := trial.next_step(CANARY)) is not None:
        seen.append(percent)
        trial = replace(trial, percent=percent)
    assert seen == steps


def test_a_rollback_ends_the_trial_first_and_then_goes_back_champion_by_champion() -> None:
    ended = rollout.rollback(TRYING, None, "complaints")
    assert (ended.action, ended.release, ended.standing.champion) == (Action.ROLLED_BACK, TWO, ONE)
    back = rollout.rollback(ended.standing, None, "more complaints")
    assert (back.release, back.previous, back.percent) == (ONE, "1", 0.0)
    assert back.standing.champion == release("0")
    with pytest.raises(NotAllowed, match="first champion"):
        rollout.rollback(back.standing, None, "again")
    with pytest.raises(NotAllowed, match="already"):
        rollout.rollback(SERVING, ONE, "again")
    with pytest.raises(NotAllowed, match="force"):
        rollout.rollback(SERVING, FOUR, "again", rejected=True)
    with pytest.raises(NotAllowed, match="no version serves"):
        rollout.rollback(EMPTY, None, "again")


def test_a_promotion_by_hand_ends_another_trial_first_and_needs_force_for_a_rejected_version() -> None:
    ended = rollout.promote(CROWDED, FOUR, "we want it")
    assert (ended.action, ended.release) == (Action.ROLLED_BACK, TWO)
    promoted = rollout.promote(ended.standing, FOUR, "we want it")
    assert (promoted.action, promoted.previous) == (Action.PROMOTED, "1")
    assert rollout.promote(TRYING, TWO, "early").standing.trial is None
    with pytest.raises(NotAllowed, match="force"):
        rollout.promote(SERVING, FOUR, "we want it", rejected=True)
    with pytest.raises(NotAllowed, match="already"):
        rollout.promote(SERVING, ONE, "we want it")


@pytest.mark.parametrize("standing", [EMPTY, SERVING])
def test_without_a_trial_there_is_nothing_to_pause_resume_or_advance(standing: Standing) -> None:
    for act in (rollout.pause, rollout.resume, rollout.take_back):
        with pytest.raises(NotAllowed, match="no version is on trial"):
            act(standing, "why")


def test_former_champions_are_kept_up_to_a_limit() -> None:
    standing = EMPTY
    for version in map(str, itertools.islice(itertools.count(1), 9)):
        standing = rollout.take_over(standing, release(version), "next").standing
    assert [each.version for each in standing.former] == ["8", "7", "6", "5", "4"]
