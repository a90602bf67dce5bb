import math

import numpy as np
import pytest

from evidence.quality import Aid, error_rate, quality


def month(rng, n, audit, wrong_share=(0.18, 0.5)):
    """One month: predictions of two classes, biased volunteers, a random audit of which 60 % answer."""
    predicted = np.where(rng.random(n) < 0.1, "late", "on_time")
    wrong = rng.random(n) < np.where(predicted == "late", wrong_share[1], wrong_share[0])
    label = np.where(wrong, np.where(predicted == "late", "on_time", "late"), predicted)
    audited = rng.random(n) < audit
    heard = np.where(audited, rng.random(n) < 0.6, rng.random(n) < np.where(wrong, 0.3, 0.05))
    counts = dict(zip(*np.unique(predicted, return_counts=True), strict=True))
    return (predicted[heard], label[heard], audited[heard], counts), (predicted, label)


def test_the_error_rate_is_that_of_all_predictions_not_of_the_volunteers():
    feedback, (predicted, label) = month(np.random.default_rng(1), 100_000, 0.05)
    truth = (predicted != label).mean()
    assert (feedback[0] != feedback[1]).mean() > truth + 0.2
    assert error_rate(*feedback).value == pytest.approx(truth, abs=0.02)


@pytest.mark.parametrize(("predictions", "audit"), [(28_000, 0.02), (3_000, 0.02), (1_000, 0.02)])
def test_the_interval_covers_the_truth_as_often_as_it_says(predictions, audit):
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        feedback, (predicted, label) = month(rng, predictions, audit)
        estimate = error_rate(*feedback)
        covered += estimate.low <= (predicted != label).mean() <= estimate.high
    assert covered / 400 >= 0.93


def test_the_interval_of_a_rare_error_covers_the_truth_too():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(400):
        feedback, (predicted, label) = month(rng, 10_000, 0.02, wrong_share=(0.01, 0.02))
        estimate = error_rate(*feedback)
        covered += estimate.low <= (predicted != label).mean() <= estimate.high
    assert covered / 400 >= 0.93


def test_precision_and_recall_of_a_class_are_estimated_with_intervals_that_cover():
    rng = np.random.default_rng(4)
    covered = np.zeros(2)
    for _ in range(300):
        feedback, (predicted, label) = month(rng, 28_000, 0.03)
        said, is_late = predicted == "late", label == "late"
        found = quality(*feedback, positive="late")
        for place, (estimate, truth) in enumerate(
            [
                (found.precision, (said & is_late).sum() / said.sum()),
                (found.recall, (said & is_late).sum() / is_late.sum()),
            ]
        ):
            covered[place] += estimate.low <= truth <= estimate.high
    assert (covered / 300 >= 0.92).all()


def test_accuracy_is_the_error_rates_other_side():
    feedback, _ = month(np.random.default_rng(5), 28_000, 0.02)
    found = quality(*feedback, positive="late")
    assert found.accuracy.value == pytest.approx(1 - found.error_rate.value)
    assert found.accuracy.low == pytest.approx(1 - found.error_rate.high)


def test_without_audits_nothing_is_claimed():
    estimate = error_rate(np.array(["a"]), np.array(["b"]), np.array([False]), {"a": 10})
    assert math.isnan(estimate.value)
    assert (estimate.low, estimate.high, estimate.audits) == (0.0, 1.0, 0)
    assert not estimate.is_informed


def test_one_right_answer_is_no_proof_of_a_perfect_model():
    estimate = error_rate(np.array(["a"]), np.array(["a"]), np.array([True]), {"a": 10})
    assert estimate.value == 0.0
    assert estimate.high > 0.5


def test_a_class_nobody_was_asked_about_keeps_the_interval_wide():
    predicted, label = np.array(["a"] * 100), np.array(["a"] * 100)
    alone = error_rate(predicted, label, np.ones(100, bool), {"a": 1000})
    beside = error_rate(predicted, label, np.ones(100, bool), {"a": 500, "b": 500})
    assert beside.high > alone.high + 0.2


def doubted(rng, n, responds):
    """Answers of which the doubtful are wrong more often; `responds` gives who answers when asked, by doubt."""
    doubt = rng.beta(2, 5, n)
    wrong = rng.random(n) < np.clip(doubt * 1.2 - 0.05, 0, 1)
    predicted = np.full(n, "a")
    audited = rng.random(n) < 0.1
    heard = audited & (rng.random(n) < responds(doubt))
    rows = predicted[heard], np.where(wrong, "b", "a")[heard], np.ones(heard.sum(), bool), {"a": n}
    return rows, Aid(doubt[heard], {"a": float(doubt.mean())}), float(wrong.mean())


def test_an_estimate_with_an_aid_survives_that_people_answer_by_how_doubtful_an_answer_is():
    rng = np.random.default_rng(6)
    plain, aided = [], []
    for _ in range(200):
        rows, aid, truth = doubted(rng, 8000, lambda doubt: np.clip(1.2 - 1.8 * doubt, 0.05, 1))
        for found, estimate in ((plain, error_rate(*rows)), (aided, error_rate(*rows, aid=aid))):
            found.append(estimate.low <= truth <= estimate.high)
    assert np.mean(plain) < 0.6
    assert np.mean(aided) >= 0.9


def test_an_aid_that_tells_something_makes_intervals_narrower_and_one_that_does_not_changes_nothing():
    rows, aid, _ = doubted(np.random.default_rng(7), 20_000, lambda doubt: np.full(len(doubt), 0.6))
    plain, aided = error_rate(*rows), error_rate(*rows, aid=aid)
    assert aided.high - aided.low < 0.97 * (plain.high - plain.low)
    nothing = Aid(np.full(len(rows[0]), 0.25), {"a": 0.25})
    assert error_rate(*rows, aid=nothing) == plain


def test_a_model_that_only_ever_answers_one_class_finds_all_of_it_for_certain():
    predicted, label = np.array(["late"] * 4), np.array(["late", "late", "on_time", "on_time"])
    recall = quality(predicted, label, np.ones(4, dtype=bool), {"late": 4}, "late").recall
    assert (recall.value, recall.low, recall.high) == (1.0, 1.0, 1.0)
