"""From a training set to a model: how many rounds, the model that is judged, the model that serves.

Nothing here or in `judging` needs Kafka, S3 or MLflow. To train and judge in one process:

    training_set = training_set.build(Sources(base, feedback, predictions), spec, known_events)
    trained = fitting.fit(LightGbm(), spec, training_set, parameters(spec, num_threads=1))
    rival = Rival("champion", champion_spec, champion_text)        # or Rival("constant answer")
    judgement = Judging(LightGbm(), models=None).judge(spec, training_set, trained, rival, golden=None)
    promoted = all(gate.passed for gate in judgement.gates)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from features import Answers, FeatureSchema
from flywheel_schemas.spec import ModelSpec
from trainer.application.ports import Fitted, Learner, Search, Table, WholeTable
from trainer.application.rows import FrameRows, Rows, matrix_of, numbers
from trainer.domain import calibration
from trainer.domain.calibration import Calibration
from trainer.domain.metrics import measure
from trainer.domain.parameters import Parameters
from trainer.domain.row_weights import learning_weights
from trainer.domain.training_set import TrainingSet, split

STOPPING_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Trained:
    """`judged` has not seen the holdout, so the gates look at it; `served` is refit on every row with its rounds."""

    judged: Fitted
    served: Fitted
    parameters: Parameters
    calibration: Calibration | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """A version of the same model to go on from: its trees stay, and new ones are added."""

    version: str
    text: str


def table(spec: ModelSpec, rows: pl.DataFrame) -> WholeTable:
    """`rows` (features, label, and weight if there is one) as numbers, each weighing what it stands for."""
    weights = rows["_weight"].to_numpy() if "_weight" in rows.columns else np.ones(rows.height)
    matrix = numbers(FeatureSchema(spec), rows.select(spec.feature_names))
    return WholeTable(matrix, Answers(spec).targets(rows["label"].to_list()), weights)


def fit(
    learner: Learner,
    spec: ModelSpec,
    training_set: TrainingSet,
    parameters: Parameters,
    *,
    start: Start | None = None,
    search: Search | None = None,
) -> Trained:
    """`fit_rows` of a training set that is in memory."""
    return fit_rows(learner, spec, FrameRows(training_set.rows, spec), parameters, start=start, search=search)


def fit_rows(
    learner: Learner,
    spec: ModelSpec,
    rows: Rows,
    parameters: Parameters,
    *,
    start: Start | None = None,
    search: Search | None = None,
) -> Trained:
    """The two models of a training set: the same rows, parameters and libraries give the same bytes.

    Rounds, searched parameters and calibration are chosen aside: by models of the older rows on the newest
    STOPPING_SHARE of the rows before the holdout. The holdout is the gates' alone.
    """
    lesson = _Lesson(learner, spec, rows, start)
    if search is not None and spec.training.search_trials:
        parameters = search(parameters, spec, lesson.loss)
    aside = lesson.aside(parameters)
    rounds = aside.rounds if aside else spec.training.rounds
    shape = lesson.calibration(aside) if aside and spec.training.calibrate else None
    judged = lesson.learned(lesson.train, parameters, rounds, shape)
    served = lesson.learned(lesson.everything, parameters, rounds, shape)
    return Trained(judged, served, parameters, shape)


def record(
    trained: Trained, digest: str, libraries: Mapping[str, str], start: Start | None = None
) -> dict[str, object]:
    """What a later reproduction needs to know, and compares."""
    shape = trained.calibration
    return {
        "training_set_hash": digest,
        "parameters": trained.parameters,
        "rounds": trained.served.rounds,
        "calibration": None if shape is None else {"scale": shape.scale, "shifts": list(shape.shifts)},
        "continues": start.version if start else None,
        "libraries": dict(libraries),
    }


class _Lesson:
    """One training set in its parts: `earlier` and `later` make up `train`, which with the holdout is `everything`."""

    def __init__(self, learner: Learner, spec: ModelSpec, rows: Rows, start: Start | None) -> None:
        self._learner, self._spec, self._rows = learner, spec, rows
        self._start = start.text if start else None
        self._schema = FeatureSchema(spec)
        index = rows.index
        self._targets = Answers(spec).targets(index["label"].to_list())
        self._weights = learning_weights(index, spec)
        self.everything = np.arange(index.height)
        self.train = np.flatnonzero((index["_split"] == "train").to_numpy())
        parts = split(index[self.train].drop("_split"), STOPPING_SHARE, None)["_split"]
        self._earlier = self.train[(parts == "train").to_numpy()]
        self._later = self.train[(parts == "holdout").to_numpy()]
        self._parts: tuple[Table, Table] | None = None

    def aside(self, parameters: Parameters) -> Fitted | None:
        """A model of the earlier rows, with the rounds that the later ones chose; None where there are too few."""
        if not len(self._earlier) or not len(self._later):
            return None
        earlier, later = self._aside_tables()
        return self._learner.fit(self._spec, earlier, parameters, self._spec.training.rounds, later, start=self._start)

    def loss(self, parameters: Parameters) -> float:
        """Log loss, or root mean squared error, on the later rows."""
        found = self.aside(parameters)
        if found is None:
            return 0.0
        later = self._aside_tables()[1]
        metric = "log_loss" if self._spec.classes else "rmse"
        return measure(metric, later.targets, self._learner.predict(found.text, later.matrix), later.weights)

    def calibration(self, aside: Fitted) -> Calibration | None:
        """What makes the probabilities of the model aside true on the later rows, each weighing what it stands for."""
        later = self._aside_tables()[1]
        raw = self._learner.predict(aside.text, later.matrix, raw=True)
        return calibration.fit(raw, later.targets, self._rows.index["_weight"].to_numpy()[self._later])

    def learned(self, places: np.ndarray, parameters: Parameters, rounds: int, shape: Calibration | None) -> Fitted:
        """A model of the rows at `places` with so many rounds."""
        found = self._learner.fit(self._spec, self._table(places), parameters, rounds, None, start=self._start)
        return replace(found, text=self._learner.calibrated(found.text, shape)) if shape else found

    def _aside_tables(self) -> tuple[Table, Table]:
        if self._parts is None:
            self._parts = self._table(self._earlier), self._table(self._later)
        return self._parts

    def _table(self, places: np.ndarray) -> Table:
        matrix = matrix_of(self._schema, self._rows, places)
        return Table(matrix, self._targets[places], self._weights[places])
