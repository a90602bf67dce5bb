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
from trainer.adapters.streaming import parts, readable
from trainer.application.ports import Fitted, Table
from trainer.application.rows import Batches
from trainer.domain.calibration import Calibration
from trainer.domain.errors import CannotTrain
from trainer.domain.metrics import Floats
from trainer.domain.parameters import EARLY_STOPPING_ROUNDS, Parameters


class LightGbm:
    """Trains and predicts; the same rows, parameters and library version give the same text."""

    def fit(
        self,
        spec: ModelSpec,
        rows: Table,
        parameters: Parameters,
        rounds: int,
        stopping: Table | None,
        *,
        start: str | None = None,
    ) -> Fitted:
        """Raises CannotTrain for parameters that LightGBM refuses."""
        before = lightgbm.Booster(model_str=start) if start else None
        known = before.current_iteration() if before else 0
        try:
            booster, kept = self._train(spec, rows, dict(parameters), rounds, stopping=stopping, before=before)
        except lightgbm.basic.LightGBMError as exc:
            raise CannotTrain(f"LightGBM refuses to train: {exc}; look at training.params of the spec") from exc
        gains = booster.feature_importance("gain", iteration=kept)
        names = tuple(booster.feature_name())
        return Fitted(
            text=booster.model_to_string(num_iteration=kept),
            rounds=kept - known,
            feature_names=names,
            gains=dict(zip(names, (float(gain) for gain in gains), strict=True)),
        )

    def predict(self, text: str, matrix: np.ndarray | Batches, *, raw: bool = False) -> Floats:
        """Outputs of shape (rows,), or (rows, classes) for more than two classes."""
        booster = lightgbm.Booster(model_str=text)
        found = [np.asarray(booster.predict(part, raw_score=raw), dtype=np.float64) for part in parts(matrix)]
        return np.concatenate(found)

    def contributions(self, text: str, matrix: np.ndarray) -> Floats:
        """Mean absolute SHAP value of each column, over rows and outputs (Lundberg and Lee 2017)."""
        found = np.asarray(lightgbm.Booster(model_str=text).predict(matrix, pred_contrib=True))
        width = matrix.shape[1]
        mean: Floats = np.abs(found.reshape(len(matrix), -1, width + 1)[:, :, :width]).mean(axis=(0, 1))
        return mean

    def calibrated(self, text: str, shape: Calibration) -> str:
        """The same model with its raw scores times `scale` plus `shifts`: written into its leaves."""
        booster = lightgbm.Booster(model_str=text)
        for tree in booster.dump_model()["tree_info"]:
            at = tree["tree_index"]
            shift = shape.shifts[at] if at < len(shape.shifts) else 0.0
            for leaf in range(tree["num_leaves"]):
                booster.set_leaf_output(at, leaf, booster.get_leaf_output(at, leaf) * shape.scale + shift)
        return str(booster.model_to_string())

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
        self,
        spec: ModelSpec,
        rows: Table,
        told: Parameters,
        rounds: int,
        *,
        stopping: Table | None,
        before: lightgbm.Booster | None,
    ) -> tuple[lightgbm.Booster, int]:
        """The booster, and how many of its iterations count."""
        schema = FeatureSchema(spec)
        # To go on from a model LightGBM predicts with it, for which it wants the raw rows as a whole.
        whole = before is not None
        data = lightgbm.Dataset(
            readable(rows.matrix, whole=whole),
            rows.targets,
            weight=rows.weights,
            feature_name=list(schema.columns),
            categorical_feature=list(schema.categorical_indices),
            params=told,
            free_raw_data=True,
        )
        if stopping is None:
            booster = lightgbm.train(told, data, num_boost_round=rounds, init_model=before)
            return booster, rounds + (before.current_iteration() if before else 0)
        aside = data.create_valid(readable(stopping.matrix, whole=whole), stopping.targets, weight=stopping.weights)
        stop = lightgbm.early_stopping(EARLY_STOPPING_ROUNDS, first_metric_only=True, verbose=False)
        booster = lightgbm.train(
            told, data, num_boost_round=rounds, valid_sets=[aside], callbacks=[stop], init_model=before
        )
        return booster, booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
