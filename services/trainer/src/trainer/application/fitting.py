"""From a training set to a model: how many rounds, the model that is judged, the model that serves."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from features import Answers, FeatureSchema
from flywheel_schemas.spec import ModelSpec
from trainer.application.ports import Fitted, Learner, Table
from trainer.domain.parameters import Parameters
from trainer.domain.training_set import TrainingSet, split

MIN_STOPPING_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Trained:
    """`judged` has not seen the holdout, so the gates look at it; `served` is refit on every row with its rounds."""

    judged: Fitted
    served: Fitted
    parameters: Parameters


def table(spec: ModelSpec, rows: pl.DataFrame) -> Table:
    """`rows` (features, label, and weight if there is one) as numbers, by the function that serving uses."""
    columns = {name: rows[name].to_arrow() for name in spec.feature_names}
    labels = rows["label"].to_list()
    weights = rows["_weight"].to_numpy() if "_weight" in rows.columns else pl.ones(rows.height, eager=True).to_numpy()
    return Table(FeatureSchema(spec).matrix(columns), Answers(spec).targets(labels), weights)


def fit(learner: Learner, spec: ModelSpec, training_set: TrainingSet, parameters: Parameters) -> Trained:
    """The two models of a training set: the same set, parameters and libraries give the same bytes.

    Early stopping looks at the holdout. A holdout of fewer than MIN_STOPPING_ROWS rows is too noisy to choose the
    rounds by: they are then chosen by a fit aside, on the newest share of all rows.
    """
    train, holdout = table(spec, training_set.train), table(spec, training_set.holdout)
    if training_set.holdout.height >= MIN_STOPPING_ROWS:
        judged = learner.fit(spec, train, parameters, spec.training.rounds, holdout)
    else:
        rounds = _rounds_aside(learner, spec, training_set, parameters)
        judged = learner.fit(spec, train, parameters, rounds, None)
    served = learner.fit(spec, table(spec, training_set.rows), parameters, judged.rounds, None)
    return Trained(judged, served, parameters)


def record(trained: Trained, digest: str, libraries: Mapping[str, str]) -> dict[str, object]:
    """What a later reproduction needs to know, and compares."""
    return {
        "training_set_hash": digest,
        "parameters": trained.parameters,
        "rounds": trained.served.rounds,
        "libraries": dict(libraries),
    }


def _rounds_aside(learner: Learner, spec: ModelSpec, training_set: TrainingSet, parameters: Parameters) -> int:
    rows = split(training_set.rows.drop("_split"), spec.training.holdout, None)
    older, newest = rows.filter(pl.col("_split") == "train"), rows.filter(pl.col("_split") == "holdout")
    return learner.fit(spec, table(spec, older), parameters, spec.training.rounds, table(spec, newest)).rounds
