import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss, mean_absolute_error, roc_auc_score

from flywheel_schemas.spec import ModelSpec, parse_spec
from trainer.domain import gates
from trainer.domain.bootstrap import paired_gain
from trainer.domain.gates import Evidence
from trainer.domain.metrics import measure

RANDOM = np.random.default_rng(5)
N = 2000
TARGETS = (RANDOM.random(N) < 0.4).astype(np.float64)
WEIGHTS = RANDOM.random(N) + 0.1


def a_spec(**policy: object) -> ModelSpec:
    spec = parse_spec("""
name: m
task: binary
label: {name: y, values: [a, b], positive: b}
features:
  - {name: colour, type: category, values: [red, blue]}
  - {name: size, type: number}
""")
    return spec.model_copy(update={"gates": spec.gates.model_copy(update=policy)})


def answers(skill: float, where: np.ndarray | None = None) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=N)
    skill_of = np.full(N, skill) if where is None else np.where(where, skill, 1.0)
    return 1.0 / (1.0 + np.exp(-(noise + skill_of * (2 * TARGETS - 1))))


ROWS = pl.DataFrame({"colour": np.where(np.arange(N) % 10, "red", "blue"), "size": np.arange(N, dtype=np.float64)})


def evidence(champion: np.ndarray, candidate: np.ndarray, reference: str = "champion") -> Evidence:
    return Evidence(ROWS, TARGETS, WEIGHTS, champion, candidate, reference)


def test_metrics_are_those_of_scikit_learn() -> None:
    outputs = answers(1.0).round(2)
    assert measure("auc", TARGETS, outputs, WEIGHTS) == pytest.approx(
        roc_auc_score(TARGETS, outputs, sample_weight=WEIGHTS)
    )
    assert measure("log_loss", TARGETS, outputs, WEIGHTS) == pytest.approx(
        log_loss(TARGETS, outputs, sample_weight=WEIGHTS)
    )
    assert measure("mae", TARGETS, outputs, WEIGHTS) == pytest.approx(
        mean_absolute_error(TARGETS, outputs, sample_weight=WEIGHTS)
    )


@pytest.mark.parametrize("metric", ["auc", "accuracy", "log_loss", "rmse", "mae"])
def test_a_better_candidate_gains_whichever_way_the_metric_points(metric: str) -> None:
    seen = paired_gain(metric, TARGETS, answers(0.5), answers(1.5), WEIGHTS, confidence=0.9)
    assert 0.0 < seen.low < seen.value < seen.high


def test_the_interval_covers_no_gain_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(30):
        random = np.random.default_rng(seed)
        targets = (random.random(400) < 0.5).astype(np.float64)
        one, other = (random.normal(size=400) + targets for _ in range(2))
        seen = paired_gain("auc", targets, one, other, np.ones(400), confidence=0.9)
        covered += seen.low <= 0.0 <= seen.high
    assert 23 <= covered <= 30


def test_at_confidence_zero_the_point_decides() -> None:
    barely = answers(1.0) + 1e-3 * TARGETS
    assert gates.metric_gate(a_spec(confidence=0.0), evidence(answers(1.0), barely)).passed


def test_unless_told_otherwise_a_gain_must_be_beyond_chance_but_for_a_first_version() -> None:
    lucky = answers(1.0) + 0.02 * TARGETS + 0.1 * np.random.default_rng(5).normal(size=N)
    report = gates.metric_gate(a_spec(), evidence(lucky, answers(1.0)))
    assert report.figures["gain"] > 0.0
    assert (report.passed, report.figures["decided_by"]) == (False, "low")
    assert 0.025 < report.figures["doubt"] < 0.5
    first = gates.metric_gate(a_spec(), evidence(lucky, answers(1.0), "constant answer"))
    assert (first.passed, first.figures["decided_by"]) == (True, "gain")


def test_with_confidence_a_gain_that_may_be_chance_is_not_enough() -> None:
    lucky = answers(1.0) + 0.02 * RANDOM.normal(size=N)
    report = gates.metric_gate(a_spec(confidence=0.9, min_gain=0.001), evidence(answers(1.0), lucky))
    assert not report.passed
    assert report.figures["low"] < report.figures["gain"] < report.figures["high"]
    assert "needed +0.0010" in report.reason


def test_a_metric_that_is_not_defined_stops_a_challenger_but_not_a_first_model() -> None:
    one_class = Evidence(ROWS, np.ones(N), WEIGHTS, answers(0.1), answers(1.0), "champion")
    assert not gates.metric_gate(a_spec(), one_class).passed
    first = Evidence(ROWS, np.ones(N), WEIGHTS, answers(0.1), answers(1.0), "constant answer")
    report = gates.metric_gate(a_spec(), first)
    assert report.passed
    assert report.figures["gain"] is None


def test_a_slice_that_gets_much_worse_stops_a_model_that_gains_on_the_whole() -> None:
    blue = ROWS["colour"].to_numpy() == "blue"
    report = gates.slice_gate(a_spec(max_slice_loss=0.05), evidence(answers(1.0), answers(-1.0, blue)))
    assert not report.passed
    assert report.figures["slice"] == "colour=blue"
    assert report.figures["loss"] > report.figures["surely_above"] > 0.05


def test_a_model_that_answers_as_the_champion_does_is_no_gain_and_no_loss() -> None:
    same = evidence(answers(1.0), answers(1.0))
    refused = gates.metric_gate(a_spec(), same)
    assert (refused.passed, "exactly as the champion does" in refused.reason) == (False, True)
    assert gates.slice_gate(a_spec(), same).passed
    assert gates.golden_gate(a_spec(), same).passed


def test_a_model_that_forgets_the_golden_rows_is_stopped() -> None:
    report = gates.golden_gate(a_spec(), evidence(answers(1.5), answers(0.2)))
    assert not report.passed
    assert report.figures["high"] < 0.0


def test_latency_is_judged_by_the_median() -> None:
    seconds = np.full(200, 0.001)
    seconds[:5] = 1.0
    assert gates.latency_gate(a_spec(), seconds).passed
    assert not gates.latency_gate(a_spec(), seconds * 10).passed


def test_a_candidate_that_refuses_what_the_champion_takes_is_incompatible() -> None:
    champion = a_spec()
    narrower = parse_spec("""
name: m
task: binary
label: {name: y, values: [a, b], positive: b}
features:
  - {name: colour, type: category, values: [red]}
  - {name: weight, type: number, required: true}
""")
    report = gates.compatibility_gate(narrower, champion, ("colour", "weight"))
    assert not report.passed
    assert report.figures["broken"] == [
        "colour no longer takes blue",
        "size is gone",
        "weight is new and required",
    ]
    assert gates.compatibility_gate(champion, narrower, ("colour", "size")).figures["broken"] == ["weight is gone"]
    assert gates.compatibility_gate(champion, None, ("colour", "size")).passed
    assert not gates.compatibility_gate(champion, champion, ("size", "colour")).passed


def test_at_no_confidence_the_point_decides_and_the_interval_is_shown() -> None:
    seen = evidence(answers(1.0), answers(1.02))
    at_point = gates.metric_gate(a_spec(confidence=0.0), seen)
    figures = at_point.figures
    assert at_point.passed
    assert figures["decided_by"] == "gain"
    assert figures["low"] < figures["gain"] < figures["high"]
    doubted = gates.metric_gate(a_spec(confidence=0.9, min_gain=figures["gain"]), seen)
    assert (doubted.passed, doubted.figures["decided_by"]) == (False, "low")


def test_probabilities_far_from_the_truth_are_refused_unless_the_champions_are_further() -> None:
    good, off = answers(1.0), np.clip(answers(1.0) * 0.3, 0.0, 1.0)
    report = gates.calibration_gate(a_spec(), evidence(good, off))
    assert not report.passed
    assert report.figures["surely_above"] > report.figures["max"]
    assert gates.calibration_gate(a_spec(), evidence(off, off)).passed


def test_a_model_too_large_is_refused() -> None:
    assert gates.size_gate(a_spec(max_megabytes=2.0), 2_000_000).passed
    assert not gates.size_gate(a_spec(max_megabytes=2.0), 2_000_001).passed
