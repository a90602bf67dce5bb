"""Whether what a model is asked, and what it answers, still looks like the rows that taught it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from evidence.drift import Drift, Reference
from flywheel_schemas.spec import ModelSpec
from trainer.domain.metrics import Floats

ROWS_AT_MOST = 200_000
SCORES = "scores"


@dataclass(frozen=True, slots=True)
class Taught:
    """A training set as a reference: its rows, a summary of each feature, and of what the version answers on them."""

    rows: int
    features: Mapping[str, Reference]
    scores: Reference


@dataclass(frozen=True, slots=True)
class Drifted:
    """How far features and scores of `rows` answers have moved from the training set of `version`."""

    version: str
    taught_rows: int
    rows: int
    features: Mapping[str, Drift]
    scores: Drift

    @property
    def all(self) -> dict[str, Drift]:
        """Features and scores by name."""
        return {**self.features, SCORES: self.scores}


def evenly(rows: pl.DataFrame) -> pl.DataFrame:
    """At most ROWS_AT_MOST of `rows`, evenly spread: more say nothing new of a distribution."""
    return rows.gather_every(rows.height // ROWS_AT_MOST + 1) if rows.height > ROWS_AT_MOST else rows


def taught(spec: ModelSpec, rows: pl.DataFrame, scores: Floats) -> Taught:
    """The reference of a training set's `rows`, each as often as it weighs; `scores` as `score_of_outputs` gives."""
    weights = rows["_weight"].to_numpy()
    return Taught(rows.height, {n: _reference(spec, rows, n) for n in spec.feature_names}, _numbers(scores, weights))


def drifted(version: str, spec: ModelSpec, reference: Taught, predictions: pl.DataFrame) -> Drifted:
    """The drift of `predictions` (of the version, with features, `predicted` and `score`)."""
    features = {
        name: seen.compare(_values(spec, predictions, name))
        for name, seen in reference.features.items()
        if name in predictions.columns
    }
    scores = reference.scores.compare(score_of_answers(spec, predictions))
    return Drifted(version, reference.rows, predictions.height, features, scores)


def score_of_outputs(outputs: Floats) -> Floats:
    """One number per row of a booster's outputs: of the positive class, of the likeliest class, or the answer."""
    return np.asarray(outputs.max(axis=1) if outputs.ndim > 1 else outputs)


def score_of_answers(spec: ModelSpec, predictions: pl.DataFrame) -> Floats:
    """The same number of answers as the lake holds them, where `score` is the probability of what was answered."""
    if spec.task == "regression":
        return predictions["predicted"].cast(pl.Float64).to_numpy()
    score = predictions["score"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if spec.task == "multiclass":
        return score
    positive = (predictions["predicted"] == spec.label.positive).fill_null(value=False).to_numpy()
    return np.where(positive, score, 1.0 - score)


def _reference(spec: ModelSpec, rows: pl.DataFrame, name: str) -> Reference:
    weights, values = rows["_weight"].to_numpy(), _values(spec, rows, name)
    return _numbers(values, weights) if isinstance(values, np.ndarray) else Reference.of_categories(values, weights)


def _numbers(values: Floats, weights: Floats) -> Reference:
    return Reference.of_numbers(values, weights)


def _values(spec: ModelSpec, rows: pl.DataFrame, name: str) -> Floats | list[str | None]:
    kind = next(feature.type for feature in spec.features if feature.name == name)
    if kind == "category":
        return rows[name].to_list()
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
