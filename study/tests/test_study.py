"""A short round: a tenth of the flights of two months, through the same code."""

import numpy as np
import polars as pl
import pytest

from study import __main__ as command
from study import gates, tables
from study.crowd import Crowd, Manners
from study.feed import examples
from study.outcomes import Arm, Outcome, Size
from study.replay import run
from study.stages import stage

SMALL = Size(months=2, every=10, feedback_count=200)
# A few hundred rows prove little: here any gain will do.
CALM = Arm("calm", changes={"gates": {"confidence": 0.0}})


@pytest.fixture(scope="module")
def calm() -> Outcome:
    return run(CALM, 0, SMALL)


def test_a_replay_retrains_when_there_is_feedback_enough_and_serves_what_passed(calm: Outcome) -> None:
    assert calm.retrainings >= 2
    assert calm.promoted <= calm.retrainings
    assert set(calm.auc) == {"3", "4"}
    assert all(0.5 < auc < 0.8 for auc in calm.frozen.values())
    assert (calm.auc != calm.frozen) == (calm.promoted > 0)


def test_the_error_rate_that_audits_tell_is_beside_the_truth(calm: Outcome) -> None:
    for month in calm.errors.values():
        assert 0.1 < month.truth < 0.4
        assert month.low <= month.value <= month.high
        assert month.audits > 10


def test_a_replay_comes_out_the_same_again(calm: Outcome) -> None:
    assert run(CALM, 0, SMALL) == calm
    assert Outcome.decode(calm.encode()) == calm


def test_liars_have_the_share_of_the_weight_that_they_have_of_the_people() -> None:
    lied = run(Arm("half", manners=Manners(flippers=0.5)), 0, SMALL)
    assert lied.lies_told > 100
    assert 0.0 < lied.liars < 0.7


def test_fences_keep_out_what_broken_instruments_say_and_nothing_else() -> None:
    at = stage(SMALL)
    crowd = Crowd(at.flights["landed_at"], 0, Manners())
    known, everything = (examples(at, crowd, 0.5, 1 << 62, fenced=fenced) for fenced in (True, False))
    broken = everything.filter(pl.col("wind_speed") == 200.0)
    assert len(broken) > 100
    assert set(broken["label"]) == {"on_time"}
    assert set(known["event_id"]) == set(everything["event_id"]) - set(broken["event_id"])


def test_labels_drawn_by_lot_give_a_verdict() -> None:
    verdict = gates.run(1, SMALL)
    assert not verdict.passed or verdict.at(0.0)
    assert verdict.passed == verdict.at(0.95)


def test_tables_name_what_the_contract_names(calm: Outcome) -> None:
    found = {arm.name: [calm] for part in tables.PARTS.values() for arm in part} | {tables.ALL_LABELS: [calm]}
    rows = [*tables.learning(found), *tables.error_rates(found), *tables.poison(found), *tables.ablation(found)]
    names = {row.name for row in rows}
    ways = ("frozen", "naive", "audited_1", "audited_2", "audited_5", "wrong_only", "all_labels")
    assert {f"study.auc.{way}" for way in ways} <= names
    assert {"study.error_rate.mae", "study.error_rate.coverage"} <= names
    assert {"study.poison.5.loss", "study.poison.20.loss", "study.poison.burst.loss"} <= names
    assert all(np.isfinite(row.value) for row in rows if row.name.startswith("study.poison"))
    assert command.PARTS[:5] == ("learning", "error_rate", "poison", "ablation", "gate")
