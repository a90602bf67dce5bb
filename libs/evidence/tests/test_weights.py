import numpy as np
import pytest

from evidence.weights import audited_weights, audited_weights_regression


def crowd(rng, n=200_000, audit=0.02, answered=0.6, wrong_share=(0.2, 0.45)):
    """Predictions of two classes and the feedback on them: 30 % of the wrong, 5 % of the right, audits at random."""
    predicted = np.where(rng.random(n) < 0.15, "late", "on_time")
    wrong = rng.random(n) < np.where(predicted == "late", wrong_share[1], wrong_share[0])
    label = np.where(wrong, np.where(predicted == "late", "on_time", "late"), predicted)
    audited = rng.random(n) < audit
    heard = np.where(audited, rng.random(n) < answered, rng.random(n) < np.where(wrong, 0.3, 0.05))
    return predicted, label, audited, heard


def counts_of(predicted):
    return dict(zip(*np.unique(predicted, return_counts=True), strict=True))


def test_weighted_feedback_shows_the_true_share_of_each_class():
    predicted, label, audited, heard = crowd(np.random.default_rng(1))
    weights = audited_weights(predicted[heard], label[heard], audited[heard], counts_of(predicted)).values
    truth = (label == "late").mean()
    as_it_came = (label[heard] == "late").mean()
    weighted = np.average(label[heard] == "late", weights=weights)
    assert abs(as_it_came - truth) > 0.2
    assert abs(weighted - truth) < 0.015


def test_the_weights_of_all_rows_add_up_to_all_predictions():
    predicted, label, audited, heard = crowd(np.random.default_rng(2))
    weights = audited_weights(predicted[heard], label[heard], audited[heard], counts_of(predicted))
    assert weights.values.sum() == pytest.approx(len(predicted))
    assert sum(cell.predictions for cell in weights.cells) == pytest.approx(len(predicted))
    assert weights.audits == audited[heard].sum()


def test_a_cell_weighs_its_estimated_predictions_over_its_labelled_rows():
    predicted = np.array(["a"] * 10)
    label = np.array(["a"] * 4 + ["b"] * 6)
    audited = np.array([True] * 4 + [False] * 6)
    weights = audited_weights(predicted, label, audited, {"a": 100}, cap=1000.0, prior_audits=0.0)
    assert weights.values[:4] == pytest.approx(25.0)


def test_no_weight_exceeds_the_cap_and_the_note_says_how_many_were_held():
    predicted, label, audited, heard = crowd(np.random.default_rng(3))
    weights = audited_weights(predicted[heard], label[heard], audited[heard], counts_of(predicted), cap=3.0)
    assert weights.values.max() == 3.0
    assert "held at the cap of 3" in weights.note


def test_without_audits_every_row_weighs_one_and_says_so():
    weights = audited_weights(np.array(["a", "b"]), np.array(["a", "a"]), np.zeros(2, bool), {"a": 10, "b": 10})
    assert weights.values.tolist() == [1.0, 1.0]
    assert weights.audits == 0
    assert "nothing is audited yet" in weights.note


def test_a_class_with_few_audits_leans_on_the_others():
    predicted = np.array(["common"] * 200 + ["rare"] * 2)
    label = np.array(["common"] * 160 + ["rare"] * 40 + ["rare"] * 2)
    counts = {"common": 2000, "rare": 100}
    weights = audited_weights(predicted, label, np.ones(202, bool), counts)
    wrong = {cell.stratum: cell.predictions for cell in weights.cells if cell.outcome == "wrong"}
    assert 0.05 < wrong["rare"] / 100 < 0.2
    assert wrong["common"] / 2000 == pytest.approx(0.2, abs=0.01)


def test_rows_of_a_class_that_was_not_counted_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match="count the rows' own time span"):
        audited_weights(np.array(["a", "b"]), np.array(["a", "b"]), np.ones(2, bool), {"a": 10})


def test_finer_strata_follow_an_error_rate_that_moves():
    rng = np.random.default_rng(4)
    early, late = crowd(rng, wrong_share=(0.1, 0.4)), crowd(rng, wrong_share=(0.4, 0.4))
    predicted, label, audited, heard = (np.concatenate(pair) for pair in zip(early, late, strict=True))
    month = np.repeat([0, 1], len(early[0]))
    strata = np.char.add(predicted.astype(str), month.astype(str))
    weights = audited_weights(
        predicted[heard], label[heard], audited[heard], counts_of(strata), strata=strata[heard]
    ).values
    for each in (0, 1):
        here = month[heard] == each
        truth = (label == "late")[month == each].mean()
        assert np.average((label[heard] == "late")[here], weights=weights[here]) == pytest.approx(truth, abs=0.03)


def test_weighted_feedback_on_a_regression_shows_the_true_mean_error():
    rng = np.random.default_rng(5)
    predicted = rng.normal(50, 20, 100_000)
    label = predicted + rng.normal(0, 5 + 0.1 * np.abs(predicted), 100_000)
    audited = rng.random(100_000) < 0.03
    heard = audited | (rng.random(100_000) < np.clip(np.abs(predicted - label) / 60, 0, 0.5))
    weights = audited_weights_regression(predicted[heard], label[heard], audited[heard], predicted).values
    error = np.abs(predicted - label)
    assert error[heard].mean() > 1.2 * error.mean()
    assert np.average(error[heard], weights=weights) == pytest.approx(error.mean(), rel=0.06)


def test_a_regression_without_audits_says_so():
    weights = audited_weights_regression(np.zeros(3), np.ones(3), np.zeros(3, bool), np.zeros(9))
    assert weights.values.tolist() == [1.0, 1.0, 1.0]
    assert weights.audits == 0
