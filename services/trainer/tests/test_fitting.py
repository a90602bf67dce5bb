"""Every kind of task through training, gates and pictures, with LightGBM itself."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from distributed import LocalCluster

from flywheel_schemas.spec import ModelSpec, dump_spec, parse_spec
from lake import schema
from trainer.adapters import plots
from trainer.adapters.cluster import ClusterLightGbm
from trainer.adapters.learner import LightGbm
from trainer.adapters.parquet_rows import ParquetRows
from trainer.adapters.search import search
from trainer.application import fitting
from trainer.application import rows as rows_module
from trainer.application.judging import Judging, Rival
from trainer.application.ports import Table
from trainer.domain.errors import CannotTrain, TryAgain
from trainer.domain.metrics import measure
from trainer.domain.parameters import parameters
from trainer.domain.row_weights import learning_weights
from trainer.domain.training_set import Sources, TrainingSet, build

START = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = {
    "binary": "{name: y, values: [low, high], positive: high}",
    "multiclass": "{name: y, values: [low, middle, high]}",
    "regression": "{name: y}",
}


def a_spec(task: str) -> ModelSpec:
    return parse_spec(f"""
name: m
task: {task}
label: {LABELS[task]}
features:
  - {{name: colour, type: category, values: [red, blue]}}
  - {{name: size, type: number}}
training: {{rounds: 40, params: {{num_leaves: 7, min_data_in_leaf: 5}}}}
gates: {{max_latency: 1s}}
""")


def a_training_set(spec: ModelSpec, n: int = 600) -> TrainingSet:
    random = np.random.default_rng(3)
    size, colour = random.random(n) * 9, random.choice(["red", "blue"], n)
    number = size + 2.0 * (colour == "red") + random.normal(size=n) * 0.3
    edges = np.quantile(number, np.arange(1, len(spec.classes)) / max(len(spec.classes), 1))
    label = np.array(spec.classes)[np.searchsorted(edges, number)] if spec.classes else number
    times = [START + timedelta(hours=i) for i in range(n)]
    rows = pa.table({"colour": colour, "size": size, "label": label, "occurred_at": times}).cast(schema.base(spec))
    empty: Any = {kind: pl.from_arrow(schema.of(kind, spec).empty_table()) for kind in ("feedback", "predictions")}
    base = pl.from_arrow(rows)
    assert isinstance(base, pl.DataFrame)
    return build(Sources(base, empty["feedback"], empty["predictions"]), spec)


@pytest.mark.parametrize("task", sorted(LABELS))
def test_a_task_is_learned_judged_and_drawn_and_comes_out_the_same_twice(task: str) -> None:
    spec, learner = a_spec(task), LightGbm()
    training_set = a_training_set(spec)
    trained = fitting.fit(learner, spec, training_set, parameters(spec, 1))
    again = fitting.fit(learner, spec, training_set, parameters(spec, 1))
    assert trained.served.text == again.served.text
    assert trained.judged.text != trained.served.text
    assert trained.judged.rounds == trained.served.rounds
    judging = Judging(learner, models=None)  # type: ignore[arg-type]  # nothing serves yet
    judged = judging.judge(spec, training_set, trained, Rival("constant answer"), None)
    assert all(gate.passed for gate in judged.gates), judged.gates
    worse = {"judged.log_loss", "judged.rmse"} & judged.metrics.keys()
    assert all(judged.metrics[name] < judged.metrics[name.replace("judged", "constant")] for name in worse)
    pictures = plots.draw(spec, judged.targets, judged.answers, judged.weights, judged.shap)
    assert all(content.startswith(b"\x89PNG") for content in pictures.values())
    against_itself = judging.judge(spec, training_set, trained, Rival("champion", spec, trained.judged.text), None)
    assert against_itself.gates[0].figures["gain"] == 0.0
    assert not against_itself.gates[0].passed


def test_parameters_that_lightgbm_refuses_are_said_to_be_the_specs() -> None:
    spec = a_spec("binary")
    wrong = {**parameters(spec, 1), "objective": "no_such_objective"}
    with pytest.raises(CannotTrain, match=r"training\.params"):
        fitting.fit(LightGbm(), spec, a_training_set(spec), wrong)


def test_a_spec_cannot_undo_what_makes_training_repeatable() -> None:
    spec = a_spec("binary")
    loose = {"deterministic": False, "seed": 1, "num_threads": 64, "learning_rate": 0.3}
    told = parameters(spec.model_copy(update={"training": spec.training.model_copy(update={"params": loose})}), 2)
    assert (told["deterministic"], told["num_threads"], told["learning_rate"]) == (True, 2, 0.3)
    assert told["seed"] != 1


def test_a_parameter_that_would_decide_the_rounds_is_refused() -> None:
    spec = a_spec("binary")
    many = spec.model_copy(update={"training": spec.training.model_copy(update={"params": {"n_estimators": 9}})})
    with pytest.raises(CannotTrain, match=r"n_estimators; set training\.rounds"):
        parameters(many, 1)


def with_training(spec: ModelSpec, **training: Any) -> ModelSpec:
    return spec.model_copy(update={"training": spec.training.model_copy(update=training)})


class Watched(LightGbm):
    """Notes what it was given to stop by."""

    def __init__(self) -> None:
        self.stopped_by: list[np.ndarray] = []

    def fit(self, spec: ModelSpec, rows: Table, parameters: Any, rounds: int, stopping: Table | None, **k: Any) -> Any:
        if stopping is not None:
            assert isinstance(stopping.matrix, np.ndarray)
            self.stopped_by.append(stopping.matrix)
        return super().fit(spec, rows, parameters, rounds, stopping, **k)


def test_rounds_are_chosen_on_rows_that_the_gates_do_not_judge_by() -> None:
    spec, learner = a_spec("binary"), Watched()
    training_set = a_training_set(spec)
    fitting.fit(learner, spec, training_set, parameters(spec, 1))
    judged_by = {row[1] for row in fitting.table(spec, training_set.holdout).matrix}
    assert len(learner.stopped_by) == 1
    assert not judged_by & {row[1] for row in learner.stopped_by[0]}


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_calibrated_model_says_what_is_true_and_ranks_as_before(task: str) -> None:
    spec = a_spec(task)
    training_set = a_training_set(spec, 4000)
    raw = fitting.fit(LightGbm(), spec, training_set, parameters(spec, 1))
    fitted = fitting.fit(LightGbm(), with_training(spec, calibrate=True), training_set, parameters(spec, 1))
    assert fitted.calibration is not None
    matrix = fitting.table(spec, training_set.holdout).matrix
    learner, shape = LightGbm(), fitted.calibration
    expected = learner.predict(raw.served.text, matrix, raw=True) * shape.scale + np.squeeze(shape.shifts)
    assert np.allclose(learner.predict(fitted.served.text, matrix, raw=True), expected, atol=1e-9)


def test_a_model_goes_on_from_another_and_keeps_its_trees() -> None:
    spec = a_spec("binary")
    training_set = a_training_set(spec)
    first = fitting.fit(LightGbm(), spec, training_set, parameters(spec, 1))
    start = fitting.Start("1", first.served.text)
    again = fitting.fit(LightGbm(), spec, training_set, parameters(spec, 1), start=start)
    trees = [text.count("\nTree=") for text in (first.served.text, again.served.text)]
    assert trees[1] == trees[0] + again.served.rounds
    assert first.served.text.split("Tree=1")[0].split("Tree=0")[1] in again.served.text
    assert (
        fitting.fit(LightGbm(), spec, training_set, parameters(spec, 1), start=start).served.text == again.served.text
    )


def test_a_search_tries_as_often_as_it_may_and_leaves_what_the_spec_sets() -> None:
    spec = with_training(a_spec("binary"), search_trials=4)
    tried: list[Any] = []

    def loss(told: Any) -> float:
        tried.append(told)
        return abs(told["learning_rate"] - 0.2)

    found = search(parameters(spec, 1), spec, loss)
    assert len(tried) == 4
    assert {told["num_leaves"] for told in tried} == {7}
    assert abs(float(found["learning_rate"]) - 0.2) <= abs(float(tried[0]["learning_rate"]) - 0.2)
    trained = fitting.fit(LightGbm(), spec, a_training_set(spec), parameters(spec, 1), search=search)
    assert trained.parameters["num_leaves"] == 7


def test_old_rows_and_frequent_classes_can_be_made_to_weigh_less() -> None:
    spec = with_training(a_spec("binary"), half_life=timedelta(days=1), class_weights="balanced")
    rows = pl.DataFrame(
        {
            "label": ["low", "low", "low", "high"],
            "_weight": [1.0] * 4,
            "occurred_at": [START, START + timedelta(days=1), START + timedelta(days=2), None],
        }
    )
    weights = learning_weights(rows, spec)
    assert weights[:3].tolist() == pytest.approx([weights[2] / 4, weights[2] / 2, weights[2]])
    assert weights[:3].sum() == pytest.approx(weights[3])


def test_a_monotone_feature_never_turns_back() -> None:
    spec = parse_spec(
        dump_spec(a_spec("binary")).replace(
            "name: size\n  type: number", "name: size\n  type: number\n  monotone: decreasing"
        )
    )
    assert spec.features[1].monotone == "decreasing"
    trained = fitting.fit(LightGbm(), spec, a_training_set(spec), parameters(spec, 1))
    along = np.column_stack([np.zeros(50), np.linspace(0, 9, 50)])
    assert (np.diff(LightGbm().predict(trained.served.text, along)) <= 1e-12).all()


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_rows_streamed_from_parquet_teach_what_rows_in_memory_teach(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = a_spec(task)
    training_set = a_training_set(spec)
    training_set.rows.write_parquet(tmp_path / "set.parquet", row_group_size=97)
    whole = fitting.fit(LightGbm(), spec, training_set, parameters(spec, 1))
    monkeypatch.setattr(rows_module, "STREAM_ABOVE", 10)
    streamed = fitting.fit_rows(LightGbm(), spec, ParquetRows(tmp_path / "set.parquet", spec), parameters(spec, 1))
    assert streamed.served.text == whole.served.text
    assert streamed.judged.text == whole.judged.text


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    alone = {"threads_per_worker": 1, "processes": True, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=2, **alone) as cluster:
        yield cluster.scheduler_address


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_cluster_learns_as_well_as_one_machine(scheduler: str, task: str) -> None:
    spec = a_spec(task)
    rows = a_training_set(spec, 2000)
    holdout = fitting.table(spec, rows.holdout)
    found = {}
    for name, learner in (("here", LightGbm()), ("cluster", ClusterLightGbm(scheduler))):
        trained = fitting.fit(learner, spec, rows, parameters(spec, num_threads=1))
        answers = learner.predict(trained.judged.text, holdout.matrix)
        found[name] = measure("log_loss", holdout.targets, answers, holdout.weights), trained.served
    assert found["cluster"][0] == pytest.approx(found["here"][0], abs=0.02)
    served = found["cluster"][1]
    assert served.feature_names == found["here"][1].feature_names
    assert 1 < served.rounds <= spec.training.rounds
    assert "num_machines: 2" in served.text
    assert "127.0.0.1" not in served.text


def test_a_cluster_that_does_not_answer_is_asked_again_later() -> None:
    spec = a_spec("binary")
    nobody = ClusterLightGbm("tcp://127.0.0.1:1", connect_s=1.0)
    with pytest.raises(TryAgain, match="no worker of the Dask scheduler"):
        fitting.fit(nobody, spec, a_training_set(spec), parameters(spec, 1))
