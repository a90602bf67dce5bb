from datetime import UTC, datetime, timedelta

from flywheel_schemas.spec import RolloutPolicy
from trainer.application.rollout_view import RolloutViews
from trainer.application.transitions import Entry
from trainer.domain.rollout import Action, Release, Standing, Trial

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ONE, TWO = (Release(version, f"run-{version}", f"s3://m/{version}", version * 8) for version in "12")
POLICY = RolloutPolicy(strategy="canary")


class Log:
    """Transitions of one model."""

    def __init__(self, *entries: Entry) -> None:
        self._entries = list(entries)

    def latest(self, model: str, count: int) -> list[Entry]:
        return self._entries[-count:]


class Nobody:
    """A conductor that has seen nothing, as after a restart."""

    def points(self, model: str, trial: Trial) -> list[object]:
        return []


def entry(number: int, action: Action, percent: float | None, told_of: int) -> Entry:
    at = NOW + timedelta(minutes=number)
    standing = Standing(ONE, (), None if percent is None else Trial(TWO, "canary", percent, NOW, at))
    disagreed = {"of": told_of, "n": told_of // 2, "classes": {}}
    figures = {"disagreed": disagreed, "slices": {"day=1": [told_of, 0]}} if told_of else {}
    return Entry("m", number, at, "trainer", action, TWO, standing, "because", figures=figures)


def test_the_latest_count_of_answers_given_aside_is_shown_since_reports_lag_behind_decisions():
    log = Log(entry(1, Action.SHADOW, 0.0, 0), entry(2, Action.CANARY, 5.0, 8), entry(3, Action.ROLLED_BACK, None, 120))
    shown = RolloutViews(log, Nobody()).rollout("m", POLICY)
    assert shown.state == "rolled_back"
    assert shown.disagreement == {"answers": 120, "differ": 60, "classes": {}, "slices": {"day=1": [120, 0]}}


def test_a_transition_that_was_not_told_of_any_leaves_what_an_earlier_one_was():
    log = Log(entry(1, Action.SHADOW, 0.0, 0), entry(2, Action.CANARY, 5.0, 40), entry(3, Action.ROLLED_BACK, None, 0))
    assert RolloutViews(log, Nobody()).rollout("m", POLICY).disagreement["answers"] == 40


def test_a_model_without_a_trial_has_no_rollout():
    assert RolloutViews(Log(), Nobody()).rollout("m", POLICY) is None
