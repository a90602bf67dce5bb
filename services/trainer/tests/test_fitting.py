"""Every kind of task through training, gates and pictures, with LightGBM itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from flywheel_schemas.spec import ModelSpec, parse_spec
from lake import schema
from trainer.adapters import plots
from trainer.adapters.learner import LightGbm
from trainer.application import fitting
from trainer.application.judging import Judging, Rival
from trainer.domain.errors import CannotTrain
from trainer.domain.parameters import parameters
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
    pictures = plots.draw(spec, judged.targets, judged.answers, judged.weights, trained.served.gains)
    assert all(content.startswith(b"\x89PNG") for content in pictures.values())
    against_itself = judging.judge(spec, training_set, trained, Rival("champion", spec, trained.judged.text), None)
    assert against_itself.gates[0].figures["gain"] == 0.0


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
