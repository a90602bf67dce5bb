"""What is seen of a model while it serves: quality from audits, and drift from its training set."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

import polars as pl

from flywheel_schemas.spec import ModelSpec
from registry import ModelVersion
from trainer.application import fitting
from trainer.application.ports import Datasets, Learner, Models, Registry
from trainer.domain import drifting, live
from trainer.domain.drifting import Drifted, Taught
from trainer.domain.live import LiveQuality

KEPT = 16


class Windows(Protocol):
    """The newest rows of the lake, by when the server received them."""

    def predictions(self, spec: ModelSpec, since: datetime) -> pl.DataFrame:
        """Answers received since then, with features."""

    def feedback(self, spec: ModelSpec, since: datetime) -> pl.DataFrame:
        """Feedback received since then."""

    def state(self, model: str) -> tuple[int, int]:
        """Versions of feedback and predictions (-1: no table): where both are as before, there is nothing new."""


class Observer(Protocol):
    """Whoever looks at a model while it serves."""

    def quality(self, model: str, window: timedelta) -> list[LiveQuality]:
        """Live quality of each version that answered in the window. Raises NoSuchModel."""

    def drift(self, model: str, window: timedelta) -> Drifted | None:
        """Drift of the window's answers from the champion's training set. Raises NoSuchModel."""


class Observing:
    """Looks at a window that ends now (an Observer)."""

    def __init__(
        self,
        windows: Windows,
        datasets: Datasets,
        registry: Registry,
        models: Models,
        *,
        learner: Learner,
        now: Callable[[], datetime],
    ) -> None:
        self._windows = windows
        self._datasets = datasets
        self._registry = registry
        self._models = models
        self._learner = learner
        self._now = now
        self._taught: dict[tuple[str, str], tuple[ModelSpec, Taught]] = {}

    def quality(self, model: str, window: timedelta) -> list[LiveQuality]:
        """Live quality of each version that answered in the window. Raises NoSuchModel."""
        spec, since = self._datasets.spec(model), self._now() - window
        return live.by_version(spec, self._windows.predictions(spec, since), self._windows.feedback(spec, since))

    def drift(self, model: str, window: timedelta) -> Drifted | None:
        """Drift of all answers of the window from the champion's training set; None without a champion or its set.

        Raises NoSuchModel.
        """
        spec, champion = self._datasets.spec(model), self._registry.champion(model)
        if champion is None or (reference := self._reference(champion)) is None:
            return None
        of_then, taught = reference
        rows = self._windows.predictions(spec, self._now() - window)
        shown = rows.filter(pl.col("variant") != "shadow")
        return drifting.drifted(champion.version, of_then, taught, drifting.evenly(shown))

    def _reference(self, champion: ModelVersion) -> tuple[ModelSpec, Taught] | None:
        """The summary of a version's training set; made once, since neither changes."""
        key = champion.model, champion.version
        if key not in self._taught:
            rows = self._datasets.kept(champion.model, champion.training_set_hash)
            if rows is None:
                return None
            spec, text = self._models.load(champion)
            rows = drifting.evenly(rows)
            outputs = self._learner.predict(text, fitting.table(spec, rows).matrix)
            while len(self._taught) >= KEPT:
                self._taught.pop(next(iter(self._taught)))
            self._taught[key] = spec, drifting.taught(spec, rows, drifting.score_of_outputs(outputs))
        return self._taught[key]
