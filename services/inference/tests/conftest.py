"""A real model, small enough to train in milliseconds."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from features import Answers, FeatureSchema
from flywheel_schemas.spec import FeatureSpec, LabelSpec, ModelSpec
from flywheel_schemas.tokens import TokenKeys
from inference.adapters import prediction_events
from inference.adapters.lightgbm_native import NativeBooster
from inference.adapters.spool import Record
from inference.application.ports import Answered
from inference.application.served import ServedModel, make_served
from inference.domain.claims import Artifact

LABELS = {
    "binary": LabelSpec(name="late", values=("late", "on_time"), positive="late"),
    "multiclass": LabelSpec(name="late", values=("early", "on_time", "late")),
    "regression": LabelSpec(name="late"),
}
CARRIERS = ("UA", "AA", "B6")


def make_spec(task: str = "binary", **changes: object) -> ModelSpec:
    features = (
        FeatureSpec(name="carrier", type="category", values=CARRIERS, required=True),
        FeatureSpec(name="distance", type="number", range=(0.0, 6000.0)),
        FeatureSpec(name="hour", type="number"),
    )
    return ModelSpec.model_validate(
        {"name": "flights", "task": task, "label": LABELS[task], "features": features, **changes}
    )


def train(spec: ModelSpec, folder: Path, seed: int = 0) -> lightgbm.Booster:
    """A booster of the spec's task, saved as model.txt in `folder`."""
    rng = np.random.default_rng(seed)
    columns = {
        "carrier": rng.choice(CARRIERS, 400).tolist(),
        "distance": rng.uniform(0, 6000, 400),
        "hour": rng.integers(0, 24, 400),
    }
    matrix = FeatureSchema(spec).matrix({name: columns[name] for name in spec.feature_names})
    values = spec.classes or (1.5, 2.5)
    labels = [values[int(score) % len(values)] for score in matrix.sum(axis=1)]
    objective = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}[spec.task]
    parameters = {"objective": objective, "verbosity": -1, "num_threads": 1, "seed": seed, "num_leaves": 7}
    if spec.task == "multiclass":
        parameters["num_class"] = len(spec.classes)
    data = lightgbm.Dataset(matrix, Answers(spec).targets(labels), feature_name=list(spec.feature_names))
    booster = lightgbm.train(parameters, data, 10)
    folder.mkdir(parents=True, exist_ok=True)
    booster.save_model(folder / "model.txt")
    return booster


@pytest.fixture
def keys() -> TokenKeys:
    return TokenKeys("a key for tests only")


@pytest.fixture
def served(tmp_path: Path, keys: TokenKeys) -> Callable[..., ServedModel]:
    """Makes a served model of a task, with a real booster."""

    def make(task: str = "binary", version: str = "1", **changes: object) -> ServedModel:
        spec = make_spec(task, **changes)
        folder = tmp_path / f"{task}-{version}"
        train(spec, folder, int(version))
        artifact = Artifact(spec.name, version, folder.as_uri(), "0" * 64)
        return make_served(artifact, datetime.now(UTC), spec, NativeBooster(folder / "model.txt"), keys)

    return make


def records_of(answered: Answered) -> list[Record]:
    """As they arrive in Kafka: packed where they were answered, unpacked by the courier."""
    return prediction_events.unpacked(prediction_events.packed(1, [answered]))[1]
