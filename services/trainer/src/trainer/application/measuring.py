"""What operators see of each model while it serves: quality, drift, who answers, how large its dataset is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from flywheel_schemas.spec import ModelSpec
from lake.versions import Size
from telemetry import logging
from trainer.application.drift_history import DriftHistory
from trainer.application.observing import Observer, Windows
from trainer.application.ports import Datasets
from trainer.application.rollout import Rollout
from trainer.domain.drifting import Drifted
from trainer.domain.live import LiveQuality
from trainer.domain.rollout import Standing

_LOG = logging.get("trainer")
WINDOW = timedelta(days=7)
# The window moves on though nothing is added to it; and whoever asks between two looks is given what was seen.
_AGAIN_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at a model; quality and drift are those of its window, which ended `at`."""

    spec: ModelSpec
    at: datetime
    standing: Standing
    tables: Mapping[str, Size]
    quality: Sequence[LiveQuality] = ()
    drift: Drifted | None = None


class Sizes(Protocol):
    """The tables of the lake."""

    def sizes(self, model: str) -> dict[str, Size]:
        """How large each table of the model is that there is. Raises lake errors."""


class Board(Protocol):
    """Where it is shown."""

    def show(self, seen: Mapping[str, Seen]) -> None:
        """All that is seen now, by model; nothing else is shown from now on."""


class Measuring:
    """Looks at all models, one after the other."""

    def __init__(
        self,
        observer: Observer,
        windows: Windows,
        datasets: Datasets,
        rollout: Rollout,
        *,
        sizes: Sizes,
        board: Board,
        history: DriftHistory,
        now: Callable[[], datetime],
    ) -> None:
        self._observer = observer
        self._windows = windows
        self._datasets = datasets
        self._rollout = rollout
        self._sizes = sizes
        self._board = board
        self._history = history
        self._now = now
        self._known: dict[str, tuple[tuple[int, int], Seen]] = {}

    def __call__(self) -> None:
        """One round. A model that cannot be looked at now keeps what was seen of it. Raises what the ports raise."""
        models = self._datasets.models()
        self._known = {model: known for model, known in self._known.items() if model in models}
        for model in models:
            self._known[model] = self._look(model)
            self._board.show({model: seen for model, (_, seen) in self._known.items()})

    def _look(self, model: str) -> tuple[tuple[int, int], Seen]:
        spec, state, now = self._datasets.spec(model), self._windows.state(model), self._now()
        seen = Seen(spec, now, self._rollout.standing(model), self._sizes.sizes(model))
        before = self._known.get(model)
        if before and before[0] == state and now - before[1].at < _AGAIN_AFTER and before[1].spec == spec:
            same = before[1]
            return state, replace(seen, at=same.at, quality=same.quality, drift=same.drift)
        policy = spec.retrain
        quality = self._observer.quality(model, policy.quality.window if policy.quality else WINDOW)
        drift = self._observer.drift(model, policy.drift.window if policy.drift else WINDOW)
        self._history.add(model, drift, now)
        _LOG.debug("model_measured", model=model, versions=len(quality))
        return state, replace(seen, quality=quality, drift=drift)
