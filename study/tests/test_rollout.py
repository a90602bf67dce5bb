"""A short round of the rollouts: the same decisions, a tenth as often."""

from study import rollout


def test_an_equal_challenger_is_hardly_ever_called_better_a_worse_one_goes_and_a_better_one_comes() -> None:
    found = {row.name.removeprefix("study.rollout."): row for row in rollout.run(60)}
    assert found["equal.promoted_as_better"].value <= 0.05
    assert found["worse_3.rolled_back"].value >= 0.95
    assert found["better_2.promoted"].value >= 0.9
    peeked = found["equal.promoted_as_better"].reference
    assert peeked is not None
    assert peeked > 0.05


def test_a_rollout_comes_out_the_same_again() -> None:
    assert rollout.run(3) == rollout.run(3)
