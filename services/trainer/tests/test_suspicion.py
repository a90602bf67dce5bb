"""Who lies, what stands alone, and what comes in bursts; and that honest people are left in peace."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel_schemas.spec import parse_spec
from trainer.domain import bursts, suspicion, trust

SPEC = parse_spec(
    """
name: fruit
task: binary
label: {name: ripe, values: ["no", "yes"], positive: "yes"}
features:
  - {name: weight, type: number}
  - {name: noise, type: number}
"""
)
START = datetime(2026, 3, 1, tzinfo=UTC)


def world(n, seed):
    """Ripe with 90 % where heavy, 10 % where light."""
    draw = np.random.default_rng(seed)
    weight = draw.random(n)
    ripe = draw.random(n) < np.where(weight > 0.5, 0.9, 0.1)
    return pl.DataFrame({"weight": weight, "noise": draw.random(n), "label": np.where(ripe, "yes", "no")})


BASE = world(1000, 1)


def said(n=1200, users=60, liars=0, seed=2):
    rows = world(n, seed).with_row_index("at")
    user = np.random.default_rng(seed).integers(0, users, n)
    lied = pl.Series(user < liars)
    flipped = pl.when(pl.col("label") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    return rows.with_columns(
        pl.when(lied).then(flipped).otherwise(pl.col("label")).alias("label"),
        pl.Series("user_hash", [f"{one:032x}" for one in user]),
        pl.lit("key").alias("key_id"),
        pl.lit("example").alias("kind"),
        pl.lit(None, pl.String).alias("predicted"),
        pl.lit(None, pl.Boolean).alias("audited"),
        pl.format("event-{}", "at").alias("event_id"),
        pl.Series("received_at", [START + timedelta(minutes=i) for i in range(n)], dtype=pl.Datetime("us", "UTC")),
        pl.Series("lied", lied),
    )


def screen(words, decisions=None):
    return suspicion.screen(words, BASE, SPEC, decisions or {})


def test_honest_answers_are_believed_and_almost_none_is_left_out():
    found = screen(said())
    assert found.held.height <= 10
    assert found.words["_trust"].mean() > 0.99


def test_users_who_flip_every_label_are_found_and_the_others_believed():
    found = screen(said(liars=12))
    lost = found.words.group_by("lied").agg(pl.col("_trust").mean())
    trust_of = dict(lost.iter_rows())
    assert trust_of.get(True, 0.0) < 0.1
    assert trust_of[False] > 0.95
    assert found.held.filter(pl.col("reason").str.starts_with("user:")).height > 50


def test_where_everybody_contradicts_the_base_the_world_has_changed_and_nobody_is_doubted():
    found = screen(said(liars=60))
    assert found.held.is_empty()
    assert found.words["_trust"].min() == 1.0


def test_the_only_user_who_is_known_is_no_liar_for_having_seen_the_world_change():
    words = said(liars=60)
    alone = pl.when(pl.col("at") < 400).then(pl.lit("a" * 32)).otherwise(pl.lit(None, pl.String))
    found = screen(words.with_columns(alone.alias("user_hash")))
    assert found.held.is_empty()


def test_a_burst_of_lies_is_left_out_and_a_burst_of_truths_is_not():
    lies, truths = said(700, users=1, liars=1, seed=5), said(700, users=1, seed=5)
    for burst, left_out in ((lies, True), (truths, False)):
        at_once = burst.with_columns(
            pl.lit("f" * 32).alias("user_hash"),
            pl.lit(START, pl.Datetime("us", "UTC")).alias("received_at"),
            pl.format("burst-{}", "at").alias("event_id"),
        )
        held = screen(pl.concat([said(), at_once])).held
        caught = held.filter(pl.col("event_id").str.starts_with("burst"))
        assert caught.height == (700 if left_out else 0)
        if left_out:
            assert caught["reason"][0].startswith("burst: 700 answers of one user in the minute of 2026-03-01 00:00")


def test_what_a_person_released_is_believed_and_what_they_dropped_is_left_out():
    words = said(liars=12)
    first = screen(words).held["event_id"][0]
    honest = words.filter(~pl.col("lied"))["event_id"][0]
    found = screen(words, {first: "released", honest: "dropped"})
    assert found.words.filter(pl.col("event_id") == first)["_trust"].to_list() == [1.0]
    (reason,) = found.held.filter(pl.col("event_id") == honest)["reason"]
    assert reason == "dropped: a person left it out"


def test_the_order_of_the_rows_is_no_matter_and_each_is_either_kept_or_held():
    words = said(liars=6)
    one, other = screen(words), screen(words.sample(fraction=1.0, shuffle=True, seed=3))
    assert one.held.sort("event_id").drop("score").equals(other.held.sort("event_id").drop("score"))
    both = [*one.words["event_id"], *one.held["event_id"]]
    assert sorted(both) == sorted(words["event_id"])


def test_without_base_rows_there_is_nothing_to_hold_answers_against():
    found = suspicion.screen(said(liars=12), BASE.head(10), SPEC, {})
    assert found.held.is_empty()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 4))
def test_doubts_are_probabilities_and_unknown_users_are_not_doubted(seed, n, classes):
    draw = np.random.default_rng(seed)
    words = trust.Words(
        draw.dirichlet(np.ones(classes), n),
        draw.integers(0, classes, n),
        draw.integers(-1, 4, n),
        draw.integers(0, 3, n),
    )
    doubts = trust.doubt(words)
    assert ((doubts >= 0.0) & (doubts <= 1.0)).all()
    assert (doubts[words.user < 0] == 0.0).all()
    assert all(len(set(doubts[words.user == user])) <= 1 for user in range(4))


@pytest.mark.parametrize(("doubt", "factor"), [(0.0, 1.0), (0.25, 0.5), (0.5, 0.0), (1.0, 0.0)])
def test_an_answer_weighs_by_how_much_more_likely_it_is_true_than_false(doubt, factor):
    assert trust.factors(np.array([doubt]))[0] == factor


def test_many_answers_alone_are_no_burst():
    minutes = pl.Series([START] * 50 + [START + timedelta(minutes=i) for i in range(1, 200)])
    users = pl.Series(["a"] * 50 + ["b"] * 199)
    assert bursts.find(minutes, {"user": users}, np.full(249, 0.3)) == {}
