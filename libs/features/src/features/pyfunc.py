"""MLflow's way in: `mlflow.pyfunc.load_model(uri).predict(frame of raw features)` answers like the inference service.

Set this module as the `loader_module`; the folder holds `model.txt` (LightGBM's text) and `spec.yaml`.
"""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from features.outputs import Answers
from features.schema import FeatureSchema
from flywheel_schemas.spec import load_spec

MODEL_FILE = "model.txt"
SPEC_FILE = "spec.yaml"


class FlywheelModel:
    """A booster that takes raw features and gives labels and scores."""

    def __init__(self, booster: lightgbm.Booster, schema: FeatureSchema, answers: Answers) -> None:
        self._booster = booster
        self._schema = schema
        self._answers = answers

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row per row of `model_input`: `label` and, for classes, `score_<class>`. No `params` are known."""
        if params:
            raise ValueError(f"this model takes no parameters; remove {', '.join(params)}")
        columns = {name: model_input[name].tolist() for name in self._schema.names if name in model_input}
        raw = np.asarray(self._booster.predict(self._schema.matrix(columns), num_threads=1))
        decided = [self._answers.decide(row) for row in raw.reshape(len(model_input), -1).tolist()]
        answer = {"label": [label for label, _ in decided]}
        for name in self._answers.classes:
            answer[f"score_{name}"] = [scores[name] for _, scores in decided if scores]
        return pd.DataFrame(answer, index=model_input.index)


def _load_pyfunc(path: str) -> FlywheelModel:
    """Called by MLflow with the folder (or a file in it)."""
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    spec = load_spec(folder / SPEC_FILE)
    booster = lightgbm.Booster(model_file=str(folder / MODEL_FILE))
    return FlywheelModel(booster, FeatureSchema(spec), Answers(spec))
