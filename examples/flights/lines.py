"""What other ways of learning would have served on the same flights, by the trainer's own code.

Frozen: the first version for ever. Naive: the very rows that taught each version, without weights. All labels: each
version's moment again, with every flight known that had landed by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from flights.data import FEATURES
from flywheel_schemas.spec import ModelSpec
from trainer.adapters.learner import LightGbm
from trainer.application import fitting
from trainer.domain import training_set
from trainer.domain.metrics import auc
from trainer.domain.parameters import parameters
from trainer.domain.training_set import Sources, TrainingSet

THREADS = 2
POSITIVE = "late"


@dataclass(frozen=True, slots=True)
class Moment:
    """When a version began to serve: flights from number `first` on, taught by `sources`, at `at` of their time."""

    version: str
    first: int
    at: datetime
    sources: Sources


def frozen(text: str, spec: ModelSpec, flights: pl.DataFrame) -> np.ndarray:
    """Probability of late for every flight, by one model's text."""
    return LightGbm().predict(text, matrix(spec, flights))


def naive(first_text: str, spec: ModelSpec, flights: pl.DataFrame, moments: Sequence[Moment]) -> np.ndarray:
    """Served by models that took the feedback as it came, each from the moment of Flywheel's own."""
    unweighted = spec.model_copy(update={"training": spec.training.model_copy(update={"weights": "none"})})
    known: frozenset[str] = frozenset()
    texts = []
    for moment in moments:
        rows = training_set.build(moment.sources, unweighted, known)
        texts.append(fitting.fit(LightGbm(), unweighted, rows, parameters(unweighted, THREADS)).served.text)
        known = frozenset(rows.rows["event_id"].drop_nulls().to_list())
    return _in_turn(first_text, spec, flights, moments, texts)


def all_labels(first_text: str, spec: ModelSpec, flights: pl.DataFrame, moments: Sequence[Moment]) -> np.ndarray:
    """Served by models that knew how every flight ended that had landed, each from the moment of Flywheel's own."""
    texts = []
    for moment in moments:
        rows = _everything_known(moment, flights)
        table = fitting.table(spec, rows.rows)
        texts.append(LightGbm().fit(spec, table, parameters(spec, THREADS), spec.training.rounds, None).text)
    return _in_turn(first_text, spec, flights, moments, texts)


def by_month(score: np.ndarray, flights: pl.DataFrame) -> dict[int, float]:
    """AUC of each month, over flights that arrived and were answered."""
    known = flights["label"].is_not_null().to_numpy() & np.isfinite(score)
    month, late = flights["month"].to_numpy(), (flights["label"] == POSITIVE).fill_null(value=False).to_numpy()
    return {int(each): area(late[known & (month == each)], score[known & (month == each)]) for each in np.unique(month)}


def area(late: np.ndarray, score: np.ndarray) -> float:
    """AUC; NaN with one class only."""
    if not len(late):
        return float("nan")
    return auc(late.astype(np.float64), score, np.ones(len(score)))


def matrix(spec: ModelSpec, flights: pl.DataFrame) -> np.ndarray:
    """The numbers that a model sees of these flights."""
    return fitting.table(spec, flights.with_columns(pl.lit(POSITIVE).alias("label"))).matrix


def _in_turn(
    first_text: str, spec: ModelSpec, flights: pl.DataFrame, moments: Sequence[Moment], texts: Sequence[str]
) -> np.ndarray:
    numbers = matrix(spec, flights)
    score = np.full(flights.height, np.nan)
    begins = [0, *(moment.first for moment in moments)]
    for text, begin, end in zip([first_text, *texts], begins, [*begins[1:], flights.height], strict=True):
        if end > begin:
            score[begin:end] = LightGbm().predict(text, numbers[begin:end])
    return score


def _everything_known(moment: Moment, flights: pl.DataFrame) -> TrainingSet:
    landed = flights.filter(pl.col("landed_at") <= moment.at)
    columns = [*FEATURES, "label", pl.col("scheduled_at").alias("occurred_at")]
    rows = pl.concat([moment.sources.base.select(*FEATURES, "label", "occurred_at"), landed.select(columns)])
    return TrainingSet(rows.sort("occurred_at", maintain_order=True), {})
