"""LightGBM. It releases the interpreter lock while it trains, so it runs in the caller's thread."""

import os
import time

import numpy as np

# OpenMP's threads otherwise spin at every barrier. On a machine with other work each waits out the other's time
# slice: measured at a load of 9 on 2 cores, 100 rounds take 13 to 93 s so, 2.3 s like this, 4 s on one thread.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import lightgbm

from features import FeatureSchema
from flywheel_schemas.spec import ModelSpec
from trainer.application.ports import Fitted, Table
from trainer.domain.errors import CannotTrain
from trainer.domain.metrics import Floats
from trainer.domain.parameters import EARLY_STOPPING_ROUNDS, Parameters


class LightGbm:
    """Trains and predicts; the same rows, parameters and library version give the same text."""

    def fit(self, spec: ModelSpec, rows: Table, parameters: Parameters, rounds: int, stopping: Table | None) -> Fitted:
        """Raises CannotTrain for parameters that LightGBM refuses."""
        try:
            booster = self._train(spec, rows, parameters, rounds, stopping)
        except lightgbm.basic.LightGBMError as exc:
            raise CannotTrain(f"LightGBM refuses to train: {exc}; look at training.params of the spec") from exc
        best = booster.best_iteration if stopping is not None and booster.best_iteration > 0 else booster.num_trees()
        kept = best if stopping is not None else rounds
        gains = booster.feature_importance("gain", iteration=kept)
        names = tuple(booster.feature_name())
        return Fitted(
            text=booster.model_to_string(num_iteration=kept),
            rounds=kept,
            feature_names=names,
            gains=dict(zip(names, (float(gain) for gain in gains), strict=True)),
        )

    def predict(self, text: str, matrix: np.ndarray) -> Floats:
        """Outputs of shape (rows,), or (rows, classes) for more than two classes."""
        return np.asarray(lightgbm.Booster(model_str=text).predict(matrix), dtype=np.float64)

    def seconds_per_row(self, text: str, matrix: np.ndarray) -> Floats:
        """One row at a time on one thread; the first answers, which warm up, are not counted."""
        booster = lightgbm.Booster(model_str=text)
        took = []
        for number, row in enumerate((*matrix[:5], *matrix)):
            began = time.perf_counter()
            booster.predict(row[None, :], num_threads=1)
            if number >= min(5, len(matrix)):
                took.append(time.perf_counter() - began)
        return np.array(took)

    def _train(
        self, spec: ModelSpec, rows: Table, parameters: Parameters, rounds: int, stopping: Table | None
    ) -> lightgbm.Booster:
        told = dict(parameters)
        schema = FeatureSchema(spec)
        data = lightgbm.Dataset(
            rows.matrix,
            rows.targets,
            weight=rows.weights,
            feature_name=list(schema.names),
            categorical_feature=list(schema.categorical_indices),
            params=told,
            free_raw_data=True,
        )
        if stopping is None:
            return lightgbm.train(told, data, num_boost_round=rounds)
        aside = data.create_valid(stopping.matrix, stopping.targets, weight=stopping.weights)
        stop = lightgbm.early_stopping(EARLY_STOPPING_ROUNDS, first_metric_only=True, verbose=False)
        return lightgbm.train(told, data, num_boost_round=rounds, valid_sets=[aside], callbacks=[stop])
