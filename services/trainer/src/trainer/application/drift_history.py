"""Keeps account of drift over time."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from trainer.application.observing import Observing, Windows
from trainer.application.ports import Datasets
from trainer.domain import drift_history as series
from trainer.domain.drift_history import DriftSample

WEEK = timedelta(days=7)


class DriftHistories(Protocol):
    """Where the series are. One write replaces a series whole, so that a crash leaves the old one or the new one."""

    def read(self, model: str) -> Sequence[DriftSample]:
        """Oldest first; empty where there is none yet."""

    def write(self, model: str, samples: Sequence[DriftSample]) -> None:
        """Put the series in place of the former."""


class DriftHistory:
    """Samples drift while answers come in. Two trainers that do it at once may lose a point, never the series."""

    def __init__(
        self,
        observing: Observing,
        windows: Windows,
        datasets: Datasets,
        histories: DriftHistories,
        now: Callable[[], datetime],
    ) -> None:
        self._observing = observing
        self._windows = windows
        self._datasets = datasets
        self._histories = histories
        self._now = now
        self._seen: dict[str, int] = {}

    def models(self) -> list[str]:
        """The models whose drift is sampled."""
        return self._datasets.models()

    def of(self, model: str) -> Sequence[DriftSample]:
        """The series, oldest first. Raises NoSuchModel."""
        self._datasets.spec(model)
        return self._histories.read(model)

    def look(self, model: str) -> bool:
        """Adds a point if there are new answers and the last point is old enough; whether it did.

        Looks for who asks next, too: after a start nobody waits for the first look at a large table.
        """
        _, answered = self._windows.state(model)
        if answered < 0 or self._seen.get(model) == answered:
            return False
        self._observing.quality_lately(model, WEEK)
        self._observing.drift_lately(model, WEEK)
        history, now = self._histories.read(model), self._now()
        if not series.is_due(history, now):
            return False
        policy = self._datasets.spec(model).retrain.drift
        seen = self._observing.drift_lately(model, policy.window if policy else WEEK)
        self._seen[model] = answered
        if seen is None or seen.rows < series.MIN_ROWS:
            return False
        self._histories.write(model, series.added(history, series.sample(seen, now)))
        return True
