"""LightGBM on a Dask cluster, by its own estimators: for training sets that outgrow the trainer's machine.

Rows go to the workers batch by batch, so that neither the trainer nor any worker needs to hold them all. Which worker
has which rows, and the order in which sums arrive, changes the last digits: models of a cluster are alike, not
byte-identical.
"""

import re
from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np
from scipy.special import expit, softmax
from typing_extensions import override

from features import FeatureSchema
from flywheel_schemas.spec import ModelSpec
from trainer.adapters.learner import LightGbm
from trainer.adapters.streaming import BATCH_ROWS
from trainer.application.ports import Table
from trainer.domain.errors import TryAgain
from trainer.domain.metrics import Floats, measure
from trainer.domain.parameters import EARLY_STOPPING_ROUNDS, Parameters

CONNECT_S = 30.0
_LOG_LINK = frozenset({"poisson", "gamma", "tweedie"})
# Where the workers listened is nobody's business afterwards.
_MACHINES = re.compile(r"^\[machines: .*\]$", re.MULTILINE)


class ClusterLightGbm(LightGbm):
    """Trains on the cluster of `scheduler`; but here to go on from another model's trees, which the estimators cannot.

    Raises TryAgain where no worker answers.
    """

    def __init__(self, scheduler: str, connect_s: float = CONNECT_S) -> None:
        self._scheduler = scheduler
        self._connect_s = connect_s

    @override
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
        if before is not None:
            return super()._train(spec, rows, told, rounds, stopping=stopping, before=before)
        booster = self._on_cluster(spec, rows, told, rounds)
        return booster, rounds if stopping is None else best_rounds(booster, spec, stopping, told)

    def _on_cluster(self, spec: ModelSpec, rows: Table, told: Parameters, rounds: int) -> lightgbm.Booster:
        from distributed import Client

        schema = FeatureSchema(spec)
        try:
            # LightGBM waits on the default client somewhere inside, so this must be it, and not only be handed over.
            with Client(self._scheduler, timeout=self._connect_s, set_as_default=True) as client:
                client.wait_for_workers(1, timeout=self._connect_s)
                matrix, targets, weights = _scattered(client, rows)
                # A classifier numbers the classes that each worker happens to see; targets are numbers already.
                estimator = lightgbm.DaskLGBMRegressor(client=client, n_estimators=rounds, **told)
                estimator.fit(
                    matrix,
                    targets,
                    sample_weight=weights,
                    feature_name=list(schema.columns),
                    categorical_feature=list(schema.categorical_indices),
                )
                text = estimator.booster_.model_to_string(num_iteration=-1)
        except (OSError, TimeoutError) as exc:
            raise TryAgain(f"no worker of the Dask scheduler {self._scheduler} answers: {exc}") from exc
        return lightgbm.Booster(model_str=_MACHINES.sub("[machines: ]", text))


def best_rounds(booster: lightgbm.Booster, spec: ModelSpec, rows: Table, told: Parameters) -> int:
    """After how many rounds the loss on `rows` was least, as early stopping would have found it."""
    assert isinstance(rows.matrix, np.ndarray)  # noqa: S101 - a holdout is read whole
    metric, raw = "log_loss" if spec.classes else "rmse", np.zeros(1)
    best, least = 1, np.inf
    for done in range(1, booster.current_iteration() + 1):
        raw = raw + booster.predict(rows.matrix, start_iteration=done - 1, num_iteration=1, raw_score=True)
        loss = measure(metric, rows.targets, _linked(raw, spec, told), rows.weights)
        if loss < least:
            best, least = done, loss
        if done - best >= EARLY_STOPPING_ROUNDS:
            break
    return best


def _linked(raw: Floats, spec: ModelSpec, told: Parameters) -> Floats:
    """What the model answers, from the sum over its trees."""
    if raw.ndim == 2:
        return np.asarray(softmax(raw, axis=1))
    if spec.classes:
        return np.asarray(expit(raw))
    return np.exp(raw) if told["objective"] in _LOG_LINK else raw


def _scattered(client: Any, rows: Table) -> tuple[Any, Any, Any]:
    """The rows as Dask arrays whose parts lie on the workers by turns."""
    from dask import array, delayed

    workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
    pieces: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for number, part in enumerate(_parts(rows, len(workers))):
        # By turns, and as one: the three parts of a piece must lie together.
        held = client.scatter(list(part), workers=[workers[number % len(workers)]], hash=False)
        for piece, values, future in zip(pieces, part, held, strict=True):
            piece.append(array.from_delayed(delayed(future), shape=values.shape, dtype=values.dtype))
    matrix, targets, weights = (array.concatenate(piece) for piece in pieces)
    return matrix, targets, weights


def _parts(rows: Table, workers: int) -> Iterator[tuple[np.ndarray, Floats, Floats]]:
    size = min(BATCH_ROWS, -(-len(rows.targets) // workers))
    for start in range(0, len(rows.targets), size):
        stop = min(start + size, len(rows.targets))
        matrix = rows.matrix[start:stop] if isinstance(rows.matrix, np.ndarray) else rows.matrix.matrix(start, stop)
        yield matrix, rows.targets[start:stop], rows.weights[start:stop]
