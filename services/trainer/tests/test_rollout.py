import pytest

from flywheel_schemas.events import GateReport, ModelAction
from flywheel_schemas.spec import RolloutPolicy
from registry import VersionState
from trainer.domain.errors import NotAllowed
from trainer.domain.rollout import Standing, after_gates, promote, rollback

CHAMPION = Standing("1", VersionState.PROMOTED, previous_champion="0")
CANDIDATE = Standing("2", VersionState.REGISTERED)
GOOD = GateReport(name="metric", passed=True, reason="better")
BAD = GateReport(name="latency", passed=False, reason="one row takes 9 ms")


def changes(step: object) -> list[tuple[str, VersionState, float]]:
    return [(each.version, each.state, each.traffic_percent) for each in step.changes]  # type: ignore[attr-defined]


def test_a_candidate_that_passed_takes_all_traffic_from_the_champion() -> None:
    step = after_gates(CANDIDATE, CHAMPION, [GOOD], RolloutPolicy())
    assert (step.action, step.version, step.champion, step.previous) == (ModelAction.PROMOTED, "2", "2", "1")
    assert changes(step) == [("2", VersionState.PROMOTED, 100.0), ("1", VersionState.RETIRED, 0.0)]


def test_the_first_model_has_nobody_to_take_over_from() -> None:
    step = after_gates(CANDIDATE, None, [GOOD], RolloutPolicy())
    assert (step.champion, step.previous, changes(step)) == ("2", None, [("2", VersionState.PROMOTED, 100.0)])


def test_one_failed_gate_rejects_and_says_why_while_the_champion_serves_on() -> None:
    step = after_gates(CANDIDATE, CHAMPION, [GOOD, BAD], RolloutPolicy())
    assert (step.action, step.champion, step.previous) == (ModelAction.REJECTED, "1", None)
    assert step.reason == "latency: one row takes 9 ms"
    assert changes(step) == [("2", VersionState.REJECTED, 0.0)]


def test_a_strategy_that_is_not_there_yet_is_named_in_the_reason() -> None:
    step = after_gates(CANDIDATE, CHAMPION, [GOOD], RolloutPolicy(strategy="canary"))
    assert "strategy canary" in step.reason


def test_a_person_may_promote_any_version_but_a_rejected_one_only_by_force() -> None:
    retired, rejected = Standing("0", VersionState.RETIRED), Standing("3", VersionState.REJECTED)
    assert promote(retired, CHAMPION, "because", force=False).champion == "0"
    with pytest.raises(NotAllowed, match="force"):
        promote(rejected, CHAMPION, "because", force=False)
    assert promote(rejected, CHAMPION, "because", force=True).champion == "3"
    with pytest.raises(NotAllowed, match="already"):
        promote(CHAMPION, CHAMPION, "because", force=True)


def test_a_rollback_puts_the_target_back_and_marks_what_it_took_away() -> None:
    step = rollback(CHAMPION, Standing("0", VersionState.RETIRED), "worse")
    assert (step.action, step.version, step.champion, step.previous) == (ModelAction.ROLLED_BACK, "1", "0", "1")
    assert changes(step) == [("0", VersionState.PROMOTED, 100.0), ("1", VersionState.ROLLED_BACK, 0.0)]


@pytest.mark.parametrize(
    ("champion", "target", "said"),
    [
        (None, None, "no version serves"),
        (CHAMPION, None, "first champion"),
        (CHAMPION, CHAMPION, "already"),
        (CHAMPION, Standing("3", VersionState.REJECTED), "force"),
    ],
)
def test_a_rollback_to_nowhere_is_refused(champion: Standing | None, target: Standing | None, said: str) -> None:
    with pytest.raises(NotAllowed, match=said):
        rollback(champion, target, "worse")
