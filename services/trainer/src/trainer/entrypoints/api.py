"""The admin API: retrain, reproduce, and what runs; rollouts are in `rollout_api`."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from http_api import problems
from http_api.problems import Problem
from registry.runs import Run
from trainer.application.lineage import Lineage
from trainer.application.ports import Datasets, Runs, Triggers
from trainer.application.progress import InProgress
from trainer.application.reproduce import Reproduce
from trainer.entrypoints import bodies, dataset_api, hygiene_api, lineage_api, rollout_api
from trainer.entrypoints.errors import STATUS, retry_after_s
from trainer.entrypoints.hygiene_api import Hygiene
from trainer.entrypoints.rollout_api import Rollouts
from trainer.entrypoints.routes import Name, Operator, Reader, name, problems_of

Begin = Callable[[str, str], Run]


@dataclass(frozen=True, slots=True)
class Operations:
    """What the API offers. `begin(model, reason)` opens a run and leads it to its outcome in the background."""

    begin: Begin
    datasets: Datasets
    triggers: Triggers
    runs: Runs
    rollouts: Rollouts
    dataset: dataset_api.Dataset
    reproduce: Reproduce
    lineage: Lineage
    progress: InProgress
    hygiene: Hygiene


def install(app: FastAPI, operations: Operations) -> None:
    """Add the routes, and the answers to what they raise."""
    install_problems(app)
    _install_training(app, operations)
    rollout_api.install(app, operations.rollouts)
    hygiene_api.install(app, operations.hygiene)
    dataset_api.install(app, operations.dataset)
    lineage_api.install(app, operations.lineage)


def install_problems(app: FastAPI) -> None:
    """Answer what the ports raise with the status of `errors.STATUS`."""
    for error, (status, title) in STATUS.items():
        app.add_exception_handler(error, _answer(status, title))


def _install_training(app: FastAPI, operations: Operations) -> None:
    @app.post("/v1/models", status_code=202, tags=["training"], responses=problems_of(404, 503))
    def add_model(asked: bodies.AddModel, who: Operator) -> bodies.Opened:
        """Train a first version from the spec and the base rows in the lake (`flywheel model add` puts them there)."""
        run = operations.begin(asked.model, f"{asked.reason} ({name(who)})")
        return bodies.Opened(model=asked.model, run_id=run.run_id)

    @app.post("/v1/models/{model}/retrain", status_code=202, tags=["training"], responses=problems_of(404, 503))
    def retrain(model: Name, asked: bodies.Retrain, who: Operator) -> bodies.Triggered:
        """Retrain now: the trigger is logged and announced like any other."""
        operations.datasets.spec(model)
        trigger = operations.triggers.fire(model, f"{asked.reason} ({name(who)})")
        return bodies.Triggered(model=model, trigger_id=str(trigger.trigger_id))

    @app.get("/v1/models/{model}/runs", tags=["training"], responses=problems_of(404, 503))
    def runs(model: Name, _: Reader) -> bodies.Runs:
        """Every training of the model, newest first, and the one under way."""
        operations.datasets.spec(model)
        running = operations.progress.of(model)
        shown = running and bodies.RunningShown(
            run_id=running.run_id, stage=running.stage, for_s=round(time.monotonic() - running.since_s, 1)
        )
        return bodies.Runs(model=model, running=shown, runs=[_shown(run) for run in operations.runs.all(model)])

    @app.post("/v1/models/{model}/versions/{version}/reproduce", tags=["training"], responses=problems_of(404, 503))
    def reproduce(model: Name, version: str, _: Operator) -> bodies.Reproduced:
        """Train the version again from its pinned rows, and compare byte for byte. Takes as long as a training."""
        found = operations.reproduce(model, version)
        return bodies.Reproduced(
            model=model,
            version=version,
            identical=found.identical,
            differences=list(found.differences),
            rows=found.rows,
            rounds=found.rounds,
        )


def _answer(status: int, title: str) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        headers = {"Retry-After": f"{retry_after_s(error):.0f}"} if status == 503 else {}
        return problems.response(Problem(status, title, str(error), headers=headers), request.url.path)

    return answer


def _shown(run: Run) -> bodies.RunShown:
    return bodies.RunShown(
        run_id=run.run_id,
        reason=run.reason,
        trigger_id=run.trigger_id,
        outcome=run.outcome.value if run.outcome else None,
        rollout=None if run.outcome else run.tags.get("rollout"),
        failed=run.failed,
        version=run.version,
        started_at=run.started_at,
        ended_at=run.ended_at,
        metrics=dict(run.metrics),
    )
