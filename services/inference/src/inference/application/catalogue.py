"""What this process serves, and what it should."""

import threading
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from inference.application.served import Lineup, ServedModel
from inference.application.watch import Watch
from inference.domain.pins import Pins
from inference.domain.states import LoadState, ModelStatus, Sources, TrialStatus, readiness


class UnknownModel(Exception):
    """No spec, no registry entry and no event names this model."""


class NotServed(Exception):
    """The model is known, but no version of it is loaded. The text says why."""


class Catalogue:
    """Read by every request without a lock; changed by the keeper alone. One assignment swaps a lineup."""

    def __init__(self, pins: Pins = MappingProxyType({})) -> None:
        self.pins = pins
        self.topic_problem: Callable[[], str | None] = lambda: Sources().topic_problem
        self._served: dict[str, Lineup] = {}
        self._watches: dict[str, Watch] = {}
        self._status: dict[str, ModelStatus] = {}
        self._tasks: dict[str, str] = {}
        self._registry_problem: str | None = Sources().registry_problem
        self._asked = False
        self._lock = threading.Lock()

    def lineup(self, model: str) -> Lineup:
        """Who answers now. Raises UnknownModel or NotServed."""
        lineup = self._served.get(model)
        if lineup is not None:
            return lineup
        if model not in self._status and model not in self._tasks:
            raise UnknownModel(model)
        raise NotServed(self._why_not(model))

    def serving(self, model: str) -> ServedModel:
        """The champion that answers now. Raises UnknownModel or NotServed."""
        return self.lineup(model).champion

    def now(self, model: str) -> Lineup | None:
        """Who answers now, if anybody does."""
        return self._served.get(model)

    def watches(self) -> list[tuple[str, Watch]]:
        """The champion and the challenger's watch of every model that has a challenger, loaded or refused."""
        with self._lock:
            found = list(self._watches.items())
        return [(lineup.champion.version, watch) for model, watch in found if (lineup := self._served.get(model))]

    def status(self, model: str) -> ModelStatus:
        """What the model is doing. Raises UnknownModel."""
        if model not in self._status and model not in self._tasks:
            raise UnknownModel(model)
        status, watch = self._status.get(model, ModelStatus(model)), self._watches.get(model)
        if status.trial is None or watch is None:
            return status
        return replace(status, trial=replace(status.trial, problem=watch.problem))

    def task(self, model: str) -> str | None:
        """The task in the model's spec; None while no spec of it has been seen."""
        lineup = self._served.get(model)
        return lineup.champion.spec.task if lineup else self._tasks.get(model)

    def models(self) -> list[str]:
        """Every known model, sorted."""
        return sorted({*self._status, *self._tasks})

    def unready(self) -> str | None:
        """Why not all that should be served is; None when it is."""
        return readiness(self._sources(), list(self._status.values()))

    def unserved(self) -> str | None:
        """Why some model with a champion has no version at all here; None when each has one."""
        missing = [status.model for status in list(self._status.values()) if status.wanted and not status.serving]
        if missing:
            return f"no version is loaded of: {', '.join(sorted(missing))}"
        return None if self._served else self.unready()

    def serving_bytes(self) -> int:
        """What everything that serves takes in memory."""
        return sum(served.booster.size_bytes for lineup in list(self._served.values()) for served in lineup.members)

    def install(self, lineup: Lineup, refused: Watch | None = None) -> None:
        """Let `lineup` answer from now on; requests that hold the one before it end with that one.

        `refused` tells of a challenger that should be in the lineup and could not be loaded.
        """
        watch = lineup.trial.watch if lineup.trial else refused
        percent = lineup.trial.percent if lineup.trial else 0.0
        trial = TrialStatus(watch.version, percent, watch.loaded) if watch else None
        version = lineup.champion.version
        with self._lock:
            self._served[lineup.name] = lineup
            self._status[lineup.name] = ModelStatus(lineup.name, version, version, LoadState.CHAMPION, trial=trial)
            if watch is None:
                self._watches.pop(lineup.name, None)
            else:
                self._watches[lineup.name] = watch

    def want(self, model: str, version: str) -> None:
        """Note that `version` should serve, and is on its way."""
        self._note(model, wanted=version, state=LoadState.LOADING, problem=None)

    def fail(self, model: str, version: str, state: LoadState, problem: str) -> None:
        """Note why `version`, which should serve, does not."""
        self._note(model, wanted=version, state=state, problem=problem)

    def describe(self, tasks: dict[str, str]) -> None:
        """Note which models there are, by their specs."""
        self._tasks = dict(tasks)

    def registry_said(self, problem: str | None) -> bool:
        """Note that the registry was asked, and why it did not answer (None: it did); whether that is news."""
        news = problem != self._registry_problem
        self._registry_problem = problem
        self._asked = True
        return news

    def _sources(self) -> Sources:
        return Sources(self._registry_problem, self.topic_problem(), self._asked)

    def _note(self, model: str, **fields: object) -> None:
        with self._lock:
            status = self._status.get(model, ModelStatus(model))
            self._status[model] = replace(status, **fields)  # type: ignore[arg-type]  # the fields' own types

    def _why_not(self, model: str) -> str:
        status = self._status.get(model)
        if status is not None and status.complaint:
            return status.complaint
        if complaint := self._sources().complaint:
            return f"nothing has said yet which version of {model} serves: {complaint}"
        return f"{model} has no version that was promoted yet; `flywheel model add` trains and promotes the first"
