"""One retraining, as the trainer does it: the same functions in the same order, on frames instead of a lake."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import polars as pl

from flywheel_schemas.events import GateReport
from flywheel_schemas.spec import ModelSpec
from lake import schema
from registry import ModelVersion
from trainer.adapters.learner import LightGbm
from trainer.application import fitting
from trainer.application.judging import Judging, Rival, nothing_new
from trainer.domain import training_set as sets
from trainer.domain.parameters import parameters
from trainer.domain.training_set import Sources, TrainingSet

THREADS = 1
LEARNER = LightGbm()


@dataclass(frozen=True, slots=True)
class Champion:
    """The model that serves, and the feedback that it has learned from."""

    text: str
    known: frozenset[str]


@dataclass(frozen=True, slots=True)
class Retrained:
    """What a retraining led to: the candidate (None where the data allow none) and every gate's report."""

    candidate: Champion | None
    training_set: TrainingSet | None
    gates: tuple[GateReport, ...]

    @property
    def passed(self) -> bool:
        """Whether the candidate may serve."""
        return self.candidate is not None and all(gate.passed for gate in self.gates)


class _NoFiles:
    """The champion's text is at hand, so no files are read."""

    def load(self, version: ModelVersion) -> NoReturn:
        raise LookupError(version.version)

    def training_record(self, version: ModelVersion) -> dict[str, Any]:
        raise LookupError(version.version)


def retrain(spec: ModelSpec, sources: Sources, champion: Champion | None) -> Retrained:
    """Build the set, train, judge. Raises CannotTrain."""
    known = champion.known if champion else None
    rows = sets.build(sources, spec, known)
    trained = fitting.fit(LEARNER, spec, rows, parameters(spec, THREADS))
    candidate = Champion(trained.served.text, frozenset(rows.rows["event_id"].drop_nulls().to_list()))
    if champion is None:
        return Retrained(candidate, rows, ())
    rival = Rival("champion", spec, champion.text)
    gates = Judging(LEARNER, _NoFiles()).judge(spec, rows, trained, rival, None).gates
    return Retrained(candidate, rows, tuple(nothing_new(gates, rows.holdout, champion.known)))


def frame(kind: schema.Kind, spec: ModelSpec, columns: Mapping[str, Any]) -> pl.DataFrame:
    """A table as the lake holds it; columns that are not given are null."""
    wanted = pl.from_arrow(schema.of(kind, spec).empty_table())
    assert isinstance(wanted, pl.DataFrame)
    types = {name: dtype for name, dtype in wanted.schema.items() if name != "scores"}
    given = pl.DataFrame({name: columns[name] for name in types if name in columns})
    return given.select(
        pl.col(name).cast(dtype) if name in given.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in types.items()
    )


def with_parts(spec: ModelSpec, **changes: Mapping[str, Any]) -> ModelSpec:
    """`spec` with some keys of its parts changed, such as training={"weights": "none"}."""
    parts = {name: getattr(spec, name).model_copy(update=dict(change)) for name, change in changes.items()}
    return spec.model_copy(update=parts)


def late(text: str, matrix: np.ndarray) -> np.ndarray:
    """Probability of the positive class."""
    return np.asarray(LEARNER.predict(text, matrix))
