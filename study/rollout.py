"""A thousand rollouts of each kind, decided by the trainer's own code; beside them a z-test that peeks as often."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import NormalDist

import numpy as np

from benchmarks.results import Row
from evidence.sequential import Arm, Outcomes, Stratum
from flywheel_schemas.spec import RolloutPolicy
from trainer.domain.rollout import Action, Release, Standing, Trial
from trainer.domain.verdict import Evidence, decide

ROLLOUTS = 1000
ACCURACY = 0.80
SCENARIOS = {"equal": 0.0, "worse_3": -0.03, "better_2": 0.02}
AUDITS_PER_LOOK = 200
REQUESTS_PER_AUDIT = 1 / (0.02 * 0.6)
"""2 percent of the answers are asked about, and 60 percent of those are told of."""
MOST_LOOKS = 600
START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = RolloutPolicy.model_validate({"strategy": "canary"})
_PEEK = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class End:
    """How a rollout ended: promoted as better, promoted as not worse, rolled_back or undecided; what it took.

    `exposed` counts the requests that the challenger answered.
    """

    verdict: str
    looks: int
    exposed: float


@dataclass(frozen=True, slots=True)
class _Answers:
    """Audited answers of one look at one share of the traffic."""

    champion: Outcomes
    challenger: Outcomes


def sequential(gap: float, random: np.random.Generator, looks: int = MOST_LOOKS) -> End:
    """One rollout by the default policy: every look sees 200 more audited answers of both versions together."""
    one, two = (Release(version, "run", "s3://m", "0") for version in "12")
    standing = Standing(one, (), Trial(two, "canary", POLICY.steps[0], START, START))
    past: tuple[Stratum, ...] = ()
    now, exposed = _Answers(Outcomes(), Outcomes()), 0.0
    for look in range(1, looks + 1):
        trial = standing.trial
        assert trial is not None
        more = _audited(trial.percent, gap, random)
        now = _Answers(now.champion + more.champion, now.challenger + more.challenger)
        exposed += AUDITS_PER_LOOK * REQUESTS_PER_AUDIT * trial.percent / 100.0
        evidence = Evidence(strata=(*past, _stratum(now)))
        found = decide(standing, evidence, POLICY, START + timedelta(minutes=look))
        if found.step is None:
            continue
        standing = found.step.standing
        if found.step.action is Action.PROMOTED:
            return End("better" if found.difference.low > 0.0 else "not_worse", look, exposed)
        if found.step.action is Action.ROLLED_BACK:
            return End("rolled_back", look, exposed)
        past, now = (*past, _stratum(now)), _Answers(Outcomes(), Outcomes())
    return End("undecided", looks, exposed)


def peeking(gap: float, random: np.random.Generator, looks: int = MOST_LOOKS) -> End:
    """The usual way: the same steps, and a z-test at 95 percent on all answers so far, at every look."""
    steps, own, theirs, exposed = list(POLICY.steps), Outcomes(), Outcomes(), 0.0
    here = 0
    for look in range(1, looks + 1):
        more = _audited(steps[0], gap, random)
        own, theirs, here = own + more.challenger, theirs + more.champion, here + more.challenger.n
        exposed += AUDITS_PER_LOOK * REQUESTS_PER_AUDIT * steps[0] / 100.0
        z = _z(own, theirs)
        if z < -_PEEK:
            return End("rolled_back", look, exposed)
        if z > _PEEK:
            return End("better", look, exposed)
        if here >= POLICY.min_feedback and len(steps) > 1:
            steps, here = steps[1:], 0
    return End("undecided", looks, exposed)


def _audited(percent: float, gap: float, random: np.random.Generator) -> _Answers:
    own = int(random.binomial(AUDITS_PER_LOOK, percent / 100.0))
    theirs = AUDITS_PER_LOOK - own
    right, wrong = float(random.binomial(own, ACCURACY + gap)), float(random.binomial(theirs, ACCURACY))
    return _Answers(Outcomes(theirs, wrong, wrong), Outcomes(own, right, right))


def _stratum(answers: _Answers) -> Stratum:
    return Stratum(Arm({"": answers.champion}), Arm({"": answers.challenger}))


def _z(own: Outcomes, theirs: Outcomes) -> float:
    if min(own.n, theirs.n) < POLICY.min_feedback:
        return 0.0
    pooled = (own.total + theirs.total) / (own.n + theirs.n)
    spread = math.sqrt(max(pooled * (1.0 - pooled) * (1.0 / own.n + 1.0 / theirs.n), 1e-12))
    return (own.mean - theirs.mean) / spread


def run(rollouts: int = ROLLOUTS, looks: int = MOST_LOOKS) -> list[Row]:
    """The figures of every scenario, the peeking test's as the reference."""
    rows: list[Row] = []
    for number, (name, gap) in enumerate(SCENARIOS.items()):
        ours = [sequential(gap, np.random.default_rng((number, seed)), looks) for seed in range(rollouts)]
        usual = [peeking(gap, np.random.default_rng((number, seed)), looks) for seed in range(rollouts)]
        rows += _rows(name, ours, usual)
    return rows


def _rows(name: str, ours: Sequence[End], usual: Sequence[End]) -> Iterator[Row]:
    n = len(ours)

    def share(ends: Sequence[End], *verdicts: str) -> float:
        return sum(end.verdict in verdicts for end in ends) / len(ends)

    for figure, verdicts in (
        ("promoted_as_better", ("better",)),
        ("promoted", ("better", "not_worse")),
        ("rolled_back", ("rolled_back",)),
    ):
        yield Row(f"study.rollout.{name}.{figure}", share(ours, *verdicts), "share", share(usual, *verdicts), n=n)
    exposed, theirs = (float(np.median([end.exposed for end in ends])) for ends in (ours, usual))
    note = "median; at 2 % audited of which 60 % answered. Reference: a z-test at 95 % that peeks at every look"
    yield Row(f"study.rollout.{name}.exposed", exposed, "requests", theirs, exposed / theirs, n, note)
