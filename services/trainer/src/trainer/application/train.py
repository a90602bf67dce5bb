"""From a trigger to a version that serves, or a reason why not: exactly one outcome, whatever dies on the way.

MLflow's runs are the memory: the run of a trigger carries its pinned dataset versions from the start and its outcome
at the end. A training that died is taken up again with the same pins, so it leads to the same bytes.
"""

import json
import threading
from collections import defaultdict
from typing import Any

from flywheel_schemas.events import ThresholdReached
from flywheel_schemas.spec import ModelSpec
from registry import ModelVersion
from registry.runs import Outcome, Run
from telemetry import logging, metrics
from trainer.application.candidates import Candidates
from trainer.application.ports import Datasets, Registry, Runs, Triggers
from trainer.application.progress import InProgress
from trainer.application.rollout import Rollout
from trainer.application.submission import Ledger, Request
from trainer.domain.errors import CannotTrain
from trainer.domain.rollout import Action

__all__ = ["Request", "Train"]

MAX_ATTEMPTS = 10
_LOG = logging.get("trainer")
_RUNS = metrics.counter("flywheel_training_runs_total", "Trainings that ended, by outcome.", ("model", "outcome"))
_FAILURES = metrics.counter(
    "flywheel_training_failures_total", "Attempts at a training that ended in an error.", ("model",)
)
_SECONDS = metrics.histogram(
    "flywheel_training_duration_seconds",
    "From taking up a request to its outcome.",
    ("model",),
    buckets=(1, 2, 5, 10, 20, 60, 300, 1800, 7200),
)
OF_ACTION = {
    Action.PROMOTED: Outcome.PROMOTED,
    Action.REJECTED: Outcome.REJECTED,
    Action.ROLLED_BACK: Outcome.ROLLED_BACK,
    Action.SUPERSEDED: Outcome.SUPERSEDED,
}
"""The outcome of a training whose version got this far; of one on trial or waiting, its rollout sets it later."""


class Train:
    """Trains on request, one at a time per model."""

    def __init__(
        self,
        datasets: Datasets,
        candidates: Candidates,
        registry: Registry,
        *,
        runs: Runs,
        ledger: Ledger,
        triggers: Triggers,
        rollout: Rollout,
        progress: InProgress,
        host: str,
    ) -> None:
        self._datasets = datasets
        self._candidates = candidates
        self._registry = registry
        self._runs = runs
        self._ledger = ledger
        self._triggers = triggers
        self._rollout = rollout
        self._progress = progress
        self._host = host
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def open(self, request: Request) -> Run:
        """Begin the run of a request that somebody waits for; `handle` then leads it to its outcome.

        Raises NoSuchModel.
        """
        self._datasets.spec(request.model)
        return self._runs.start(request.model, request.reason, self._tags(request))

    def handle(self, request: Request, opened: Run | None = None) -> Outcome | None:
        """Lead the request to its outcome, or find that it has one. None: its version is on trial.

        Raises NoSuchModel, and what the ports raise: then calling again goes on where this call stopped.
        """
        with self._locks[request.model]:
            known = opened or self._known(request)
            if known and known.outcome:
                _LOG.info("trigger_already_handled", model=request.model, trigger_id=request.trigger_id)
                return known.outcome
            spec = self._datasets.spec(request.model)
            if newer := self._newer(request):
                return self._supersede(request, known, newer)
            run = known or self._runs.start(request.model, request.reason, self._tags(request))
            with _SECONDS.labels(request.model).time(), self._progress.training(request.model, run.run_id):
                outcome = self._lead(run, spec, request)
            if outcome is not None:
                _RUNS.labels(request.model, outcome.value).inc()
            return outcome

    def interrupted(self, model: str) -> list[Run]:
        """Runs that no trigger brings back and that this host left without an outcome."""
        return [
            run
            for run in self._runs.all(model)
            if run.outcome is None and run.trigger_id is None and not run.failed and run.tags.get("host") == self._host
        ]

    def resume(self, run: Run) -> Outcome | None:
        """Finish an interrupted run: settle its version, or record that there is none."""
        with self._locks[run.model]:
            version = self._ledger.version_of(run)
            if version is None:
                self._runs.fail(run.run_id, "the trainer stopped before the model was registered; ask again")
                return None
            return self._settle(run, self._datasets.spec(run.model), version)

    def _newer(self, request: Request) -> ThresholdReached | None:
        """The trigger that makes this one pointless: the newest in the log, if this one is in the log too."""
        if request.trigger is None:
            return None
        last = self._triggers.last(request.model)
        if last is None or last.trigger_id == request.trigger.trigger_id:
            return None
        return last if self._triggers.logged(request.model, str(request.trigger.trigger_id)) else None

    def _supersede(self, request: Request, known: Run | None, newer: ThresholdReached) -> Outcome | None:
        run = known or self._runs.start(request.model, request.reason, self._tags(request))
        if version := self._ledger.version_of(run):
            return self._settle(run, self._datasets.spec(run.model), version)
        self._runs.finish(run.run_id, Outcome.SUPERSEDED, f"a newer trigger followed: {newer.trigger_id}")
        _RUNS.labels(request.model, Outcome.SUPERSEDED.value).inc()
        return Outcome.SUPERSEDED

    def _lead(self, run: Run, spec: ModelSpec, request: Request) -> Outcome | None:
        attempt = int(run.tags.get("attempts", "0")) + 1
        if attempt > MAX_ATTEMPTS:
            reason = f"{MAX_ATTEMPTS} attempts did not end; the last said: {run.reason or 'nothing, its process died'}"
            return self._reject(run, reason)
        self._runs.tag(run.run_id, attempts=str(attempt))
        try:
            version = self._ledger.version_of(run) or self._train(run, spec, request)
        except CannotTrain as exc:
            return self._reject(run, str(exc))
        except Exception as exc:
            _FAILURES.labels(spec.name).inc()
            self._runs.tag(run.run_id, reason=f"{type(exc).__name__}: {exc}")
            raise
        if version.run_id != run.run_id:
            reason = f"version {version.version} is the champion and was trained on exactly these rows"
            self._runs.finish(run.run_id, Outcome.PROMOTED, reason, version.version)
            return Outcome.PROMOTED
        return self._settle(run, spec, version)

    def _train(self, run: Run, spec: ModelSpec, request: Request) -> ModelVersion:
        """The registered candidate; the champion where a person adds the very rows that it was trained on."""
        champion = self._registry.champion(spec.name)
        submission = self._candidates.make(spec, request, self._pinned(run), champion)
        if submission is None and champion is not None:
            return champion
        assert submission is not None  # noqa: S101 - only a champion's own rows make none
        with self._progress.stage(spec.name, "registering"):
            version = self._ledger.register(run, submission)
        self._rollout.announce_registered(version)
        return version

    def _settle(self, run: Run, spec: ModelSpec, version: ModelVersion) -> Outcome | None:
        with self._progress.stage(run.model, "rolling out"):
            self._datasets.note_version(run.model, version.version, _note(version))
            step = self._rollout.settle(version, spec.rollout)
            if step.action not in OF_ACTION:
                self._runs.tag(run.run_id, version=version.version, reason=step.reason, rollout=step.action.value)
        return OF_ACTION.get(step.action)

    def _reject(self, run: Run, reason: str) -> Outcome:
        self._runs.finish(run.run_id, Outcome.REJECTED, reason)
        _LOG.warning("training_rejected", model=run.model, run_id=run.run_id, reason=reason)
        return Outcome.REJECTED

    def _pinned(self, run: Run) -> dict[str, int]:
        """The dataset versions of the run: those of its first attempt, so that another leads to the same model."""
        if run.dataset_versions:
            return {kind: int(version) for kind, version in json.loads(run.dataset_versions).items()}
        versions = self._datasets.pin(run.model)
        self._runs.tag(run.run_id, dataset_versions=json.dumps(versions, sort_keys=True))
        return versions

    def _known(self, request: Request) -> Run | None:
        return self._runs.for_trigger(request.model, request.trigger_id) if request.trigger_id else None

    def _tags(self, request: Request) -> dict[str, str]:
        trigger = {"trigger_id": request.trigger_id} if request.trigger_id else {}
        return {"reason": request.reason, "host": self._host, **trigger}


def _note(version: ModelVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "training_set_hash": version.training_set_hash,
        "dataset_versions": dict(version.dataset_versions),
        "events": int(version.metrics.get("rows_from_feedback", 0)),
        "registered_at": version.created_at.isoformat(),
        "run_id": version.run_id,
        "artifact_uri": version.artifact_uri,
    }
