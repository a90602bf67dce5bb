from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from flywheel_schemas.spec import ModelSpec, parse_spec
from lake import schema
from trainer.domain.errors import CannotTrain
from trainer.domain.fingerprint import training_set_hash
from trainer.domain.training_set import Sources, TrainingSet, build

START = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = parse_spec("""
name: m
task: binary
label: {name: y, values: [a, b], positive: b}
features:
  - {name: colour, type: category, values: [red, blue]}
  - {name: size, type: number}
training: {holdout: 0.25}
feedback: {max_share_per_user: 0.2}
""")


def table(kind: Any, rows: list[dict[str, Any]], spec: ModelSpec = SPEC) -> pl.DataFrame:
    found = pl.from_arrow(pa.Table.from_pylist(rows, schema=schema.of(kind, spec)))
    assert isinstance(found, pl.DataFrame)
    return found


def day(n: float) -> datetime:
    return START + timedelta(days=n)


def base(n: int, *, timed: bool = True) -> list[dict[str, Any]]:
    return [
        {"colour": "red", "size": float(i), "label": "ab"[i % 2], "occurred_at": day(i) if timed else None}
        for i in range(n)
    ]


def said(n: int, **other: Any) -> dict[str, Any]:
    usual = {"event_id": f"e{n:04}", "kind": "correction", "label": "b", "prediction_id": f"p{n:04}"}
    return {**usual, "occurred_at": day(100 + n), "received_at": day(100 + n), **other}


def predicted(n: int, **other: Any) -> dict[str, Any]:
    usual = {"prediction_id": f"p{n:04}", "colour": "blue", "size": float(n), "predicted": "a", "variant": "champion"}
    return {**usual, "audited": False, "occurred_at": day(100 + n - 0.5), "received_at": day(100 + n - 0.5), **other}


def made(
    base_rows: list[dict[str, Any]],
    feedback: list[dict[str, Any]] = [],  # noqa: B006 - read only
    predictions: list[dict[str, Any]] = [],  # noqa: B006 - read only
    known: frozenset[str] | None = None,
    spec: ModelSpec = SPEC,
) -> TrainingSet:
    sources = Sources(table("base", base_rows), table("feedback", feedback), table("predictions", predictions))
    return build(sources, spec, known)


def test_a_correction_gets_its_features_from_the_prediction() -> None:
    rows = made(base(8), [said(1)], [predicted(1)]).rows.filter(pl.col("_origin") == "feedback")
    assert rows.select("event_id", "colour", "size", "label").row(0) == ("e0001", "blue", 1.0, "b")


def test_an_events_own_features_win_over_the_predictions() -> None:
    rows = made(base(8), [said(1, size=42.0)], [predicted(1)]).rows.filter(pl.col("_origin") == "feedback")
    assert rows.select("colour", "size").row(0) == (None, 42.0)


def test_a_confirmation_that_names_only_its_prediction_has_the_label_from_there() -> None:
    word = said(1, kind="confirmation", label=None)
    rows = made(base(8), [word], [predicted(1)]).rows.filter(pl.col("_origin") == "feedback")
    assert rows.select("event_id", "size", "label").rows() == [("e0001", 1.0, "a")]


def test_feedback_whose_features_nobody_knows_is_counted_and_left_out() -> None:
    found = made(base(8), [said(1)])
    assert set(found.rows["_origin"]) == {"base"}
    assert found.notes["without_features"] == 1


def test_the_rows_are_in_the_order_of_time() -> None:
    times = made(base(8)[::-1], [said(1)], [predicted(1)]).rows["occurred_at"].to_list()
    assert times == sorted(times)


def test_without_a_champion_the_holdout_is_the_newest_share_of_all_rows() -> None:
    found = made(base(8))
    assert found.holdout["size"].to_list() == [6.0, 7.0]


def test_with_a_champion_the_holdout_is_the_newest_of_what_it_has_not_learned_from() -> None:
    feedback, predictions = [said(n) for n in range(12)], [predicted(n) for n in range(12)]
    found = made(base(100), feedback, predictions, known=frozenset({"e0010", "e0011"}))
    assert found.holdout["event_id"].to_list() == ["e0007", "e0008", "e0009"]


def test_rows_without_a_time_give_an_even_draw() -> None:
    found = made(base(100, timed=False))
    assert found.holdout.height == 25
    assert set(np.diff(found.holdout["size"].to_numpy())) == {4.0}


def test_nothing_can_be_made_of_one_row() -> None:
    with pytest.raises(CannotTrain, match="too few"):
        made(base(1))


def test_no_user_weighs_more_than_the_share_allows() -> None:
    feedback = [said(n, user_hash="u" * 32, audited=True) for n in range(50)]
    predictions = [predicted(n, audited=True) for n in range(50)]
    rows = made(base(40), feedback, predictions).rows
    theirs = rows.filter(pl.col("_origin") == "feedback")["_weight"].sum()
    assert theirs / rows["_weight"].sum() == pytest.approx(0.2)


def test_weights_turned_off_leave_every_row_at_one() -> None:
    off = SPEC.model_copy(update={"training": SPEC.training.model_copy(update={"weights": "none"})})
    rows = made(base(8), [said(1, audited=True), said(2)], [predicted(n) for n in range(9)], spec=off).rows
    assert set(rows["_weight"]) == {1.0}


def test_audited_answers_make_a_few_answers_stand_for_all_predictions() -> None:
    predictions = [predicted(n, audited=n % 10 == 0) for n in range(1000)]
    feedback = [said(n, audited=True, label="a" if n % 20 else "b", user_hash=f"{n:032}") for n in range(0, 1000, 10)]
    found = made(base(8), feedback, predictions)
    taught = found.rows.filter(pl.col("_origin") == "feedback")
    assert found.notes["audits"] == 100
    # Predictions after the last that got a label had no time to get one.
    assert taught["_weight"].sum() == pytest.approx(991, rel=0.01)


def test_the_hash_does_not_depend_on_the_order_of_arrival_but_on_every_value() -> None:
    feedback, predictions = [said(n) for n in range(9)], [predicted(n) for n in range(9)]
    one = training_set_hash(made(base(20), feedback, predictions).rows, SPEC)
    assert training_set_hash(made(base(20), feedback[::-1], predictions[::-1]).rows, SPEC) == one
    feedback[3]["label"] = "a"
    assert training_set_hash(made(base(20), feedback, predictions).rows, SPEC) != one
    wider = SPEC.model_copy(update={"training": SPEC.training.model_copy(update={"rounds": 7})})
    assert training_set_hash(made(base(20), feedback, predictions).rows, wider) != one


def test_a_training_set_that_was_kept_as_parquet_has_the_same_hash(tmp_path: Any) -> None:
    rows = made(base(20), [said(n) for n in range(9)], [predicted(n) for n in range(9)]).rows
    rows.write_parquet(tmp_path / "set.parquet")
    assert training_set_hash(pl.read_parquet(tmp_path / "set.parquet"), SPEC) == training_set_hash(rows, SPEC)
