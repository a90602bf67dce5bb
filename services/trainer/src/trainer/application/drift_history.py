"""Keeps account of drift over time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from trainer.application.ports import Datasets
from trainer.domain import drift_history as series
from trainer.domain.drift_history import DriftSample
from trainer.domain.drifting import Drifted


class DriftHistories(Protocol):
    """Where the series are. One write replaces a series whole, so that a crash leaves the old one or the new one."""

    def read(self, model: str) -> Sequence[DriftSample]:
        """Oldest first; empty where there is none yet."""

    def write(self, model: str, samples: Sequence[DriftSample]) -> None:
        """Put the series in place of the former."""


class DriftHistory:
    """A series for each model. Two trainers that add at once may lose a point, never the series."""

    def __init__(self, datasets: Datasets, histories: DriftHistories) -> None:
        self._datasets = datasets
        self._histories = histories

    def of(self, model: str) -> Sequence[DriftSample]:
        """The series, oldest first. Raises NoSuchModel."""
        self._datasets.spec(model)
        return self._histories.read(model)

    def add(self, model: str, seen: Drifted | None, at: datetime) -> bool:
        """Add what was seen, if it rests on answers enough and the last point is old enough; whether it did."""
        if seen is None or seen.rows < series.MIN_ROWS:
            return False
        history = self._histories.read(model)
        if not series.is_due(history, at):
            return False
        self._histories.write(model, series.added(history, series.sample(seen, at)))
        return True
