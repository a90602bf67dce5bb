"""What the use cases need from outside, each as small as they need it.

Every method may raise something that means "not now" (see `entrypoints.worker`): the use cases let it pass,
since they can be run again from the start at any point.
"""

from collections.abc import Callable, Mapping, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import polars as pl

from flywheel_schemas.events import ModelUpdated, RolloutAction, ThresholdReached
from flywheel_schemas.spec import ModelSpec
from flywheel_schemas.spec_model import RetentionPolicy
from lake.diff import Diff
from lake.rollback import Rollback
from lake.upkeep import Upkeep
from lake.versions import Version
from registry import ModelVersion, VersionState
from registry.runs import Outcome, Run
from trainer.application.rows import Batches, Rows
from trainer.domain.calibration import Calibration
from trainer.domain.metrics import Floats
from trainer.domain.parameters import Parameters
from trainer.domain.training_set import Sources


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as LightGBM takes them: `matrix` (rows, columns), one target and one weight per row."""

    matrix: np.ndarray | Batches
    targets: Floats
    weights: Floats


@dataclass(frozen=True, slots=True)
class WholeTable(Table):
    """A table whose numbers are all in memory."""

    matrix: np.ndarray


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained model: its text, the rounds trained (on top of those it began with), what each column gained it."""

    text: str
    rounds: int
    feature_names: tuple[str, ...]
    gains: Mapping[str, float]


class Datasets(Protocol):
    """The lake: specs, tables at a version, and what is pinned beside them."""

    def models(self) -> list[str]:
        """Every model that has a spec."""

    def spec(self, model: str) -> ModelSpec:
        """Raises NoSuchModel."""

    def pin(self, model: str) -> dict[str, int]:
        """The present version of each table that the model has, by kind."""

    def sources(self, spec: ModelSpec, versions: Mapping[str, int]) -> Sources:
        """The tables at these versions; one without a version is empty."""

    def golden(self, spec: ModelSpec) -> pl.DataFrame | None:
        """Rows (features and label) that feedback never enters; None where the spec names none."""

    def keep(self, model: str, digest: str, rows: pl.DataFrame) -> str:
        """Store a training set under its digest, once, and give its address."""

    def kept(self, model: str, digest: str) -> pl.DataFrame | None:
        """The training set of that digest, or None."""

    def note_held(self, model: str, held: pl.DataFrame) -> None:
        """Say which rows the newest training left out, and why."""

    def stream(self, spec: ModelSpec, digest: str) -> AbstractContextManager[Rows]:
        """The kept training set of that digest, read from disk batch by batch within the block."""

    def note_version(self, model: str, version: str, note: Mapping[str, Any]) -> None:
        """Say, beside the data, what a registered version was trained on; the first note stays."""


class DatasetVersions(Protocol):
    """The versions of a model's feedback. Methods raise VersionGone for what can no longer be read."""

    def versions(self, model: str, limit: int) -> list[Version]:
        """The newest `limit`, newest first."""

    def rows(self, model: str) -> int:
        """How many rows the newest version has."""

    def diff(self, model: str, from_version: int, to_version: int | None) -> Diff:
        """What changed from one version to another (None: the newest)."""

    def preview(self, model: str, to_version: int) -> Diff:
        """What a rollback would change."""

    def roll_back(self, model: str, to_version: int, reason: str, who: str) -> Rollback:
        """Make the newest version equal to `to_version`."""


class Tables(Protocol):
    """A model's tables and training sets, as what they cost."""

    def tend(self, model: str, retention: RetentionPolicy, now: datetime, *, full: bool) -> list[Upkeep]:
        """Compact, vacuum and index; what was done to each table."""

    def expire(self, model: str, retention: RetentionPolicy, in_use: Set[str]) -> list[str]:
        """Remove training sets past their time, but for these hashes; the hashes of those removed."""


class Learner(Protocol):
    """LightGBM."""

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
        """Train, from the model text `start` if there is one; with `stopping` rows until those get no better."""

    def predict(self, text: str, matrix: np.ndarray | Batches, *, raw: bool = False) -> Floats:
        """The outputs of a model text for every row; `raw`: before they become probabilities."""

    def contributions(self, text: str, matrix: np.ndarray) -> Floats:
        """Mean absolute SHAP value of each column."""

    def calibrated(self, text: str, shape: Calibration) -> str:
        """The model with its raw scores scaled and shifted."""

    def seconds_per_row(self, text: str, matrix: np.ndarray) -> Floats:
        """How long single rows took, one prediction each."""


class Search(Protocol):
    """Chooses parameters."""

    def __call__(self, parameters: Parameters, spec: ModelSpec, loss: Callable[[Parameters], float]) -> Parameters:
        """`parameters` with the values of least `loss` for what the spec leaves open."""


class Registry(Protocol):
    """Versions and their states."""

    def champion(self, model: str) -> ModelVersion | None:
        """The version that serves, or None."""

    def version(self, model: str, version: str) -> ModelVersion:
        """Raises UnknownVersion."""

    def versions(self, model: str) -> list[ModelVersion]:
        """All versions, oldest first."""

    def set_state(
        self, model: str, version: str, state: VersionState, *, traffic_percent: float, reason: str, who: str
    ) -> ModelVersion:
        """Write a version's state and its history."""

    def set_champion(self, model: str, version: str, *, previous: str | None = None) -> None:
        """Point the alias champion at `version`."""

    def set_challenger(self, model: str, version: str | None) -> None:
        """Point the alias challenger at `version`, or at nothing."""

    def rollout_sequence(self, model: str) -> int | None:
        """The last transition that is complete."""

    def set_rollout_sequence(self, model: str, sequence: int) -> None:
        """Note that transition `sequence` is complete."""


class Runs(Protocol):
    """The record of trainings."""

    def all(self, model: str) -> list[Run]:
        """Every run, newest first."""

    def for_trigger(self, model: str, trigger_id: str) -> Run | None:
        """The run that a trigger led to, or None."""

    def start(self, model: str, name: str, tags: Mapping[str, str]) -> Run:
        """A new run."""

    def tag(self, run_id: str, **tags: str) -> None:
        """Set tags of a run."""

    def finish(self, run_id: str, outcome: Outcome, reason: str, version: str | None = None) -> None:
        """Record the outcome: the trigger is then handled."""

    def fail(self, run_id: str, reason: str) -> None:
        """Record that the run broke off without an outcome."""


class Models(Protocol):
    """The champion's files, for comparison."""

    def load(self, version: ModelVersion) -> tuple[ModelSpec, str]:
        """The spec and the model text of a registered version."""

    def training_record(self, version: ModelVersion) -> dict[str, Any]:
        """What `fitting.record` said when the version was registered."""


class Announcements(Protocol):
    """model-updated, and the audit log."""

    def publish(self, event: ModelUpdated) -> None:
        """Return when the broker has it."""

    def record(self, action: RolloutAction) -> None:
        """Return when the broker has it."""

    def latest(self) -> dict[str, ModelUpdated]:
        """The last event of every model."""


class Triggers(Protocol):
    """The log of triggers, and the topic that tells of them."""

    def last(self, model: str) -> ThresholdReached | None:
        """The newest trigger that was logged."""

    def logged(self, model: str, trigger_id: str) -> bool:
        """Whether the log holds this trigger."""

    def fire(self, model: str, note: str) -> ThresholdReached:
        """Log and announce a manual trigger."""
