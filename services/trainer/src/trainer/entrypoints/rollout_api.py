"""The admin API's part about rollouts: promote, roll back, pause, resume; how it goes, and who did what."""

from dataclasses import asdict, dataclass

from fastapi import FastAPI

from http_api import problems
from http_api.problems import Problem, ProblemError
from trainer.application.ports import Datasets
from trainer.application.rollout import Rollout
from trainer.application.rollout_view import RolloutViews
from trainer.domain.rollout import Step
from trainer.entrypoints import rollout_bodies as bodies
from trainer.entrypoints.routes import Name, Operator, Reader, name, problems_of

_NONE_YET = Problem(404, "No rollout yet", "No version of this model has been on trial; see docs/rollout.md.")


@dataclass(frozen=True, slots=True)
class Rollouts:
    """What the routes work with."""

    datasets: Datasets
    rollout: Rollout
    views: RolloutViews


def install(app: FastAPI, rollouts: Rollouts) -> None:
    """Add the routes."""
    _install_actions(app, rollouts, problems_of(404, 409, 503))
    _install_views(app, rollouts, problems_of(404, 503))


def _install_actions(app: FastAPI, rollouts: Rollouts, responses: dict[int | str, dict[str, object]]) -> None:
    rollout = rollouts.rollout

    @app.post("/v1/models/{model}/promote", status_code=202, tags=["rollout"], responses=responses)
    def promote(model: Name, asked: bodies.Promote, who: Operator) -> bodies.Changed:
        """Let a version serve: all traffic at once, or by a trial beside the champion."""
        rollouts.datasets.spec(model)
        step = rollout.promote(
            model, asked.version, asked.reason, name(who), force=asked.force, strategy=asked.strategy
        )
        return _changed(model, step)

    @app.post("/v1/models/{model}/rollback", status_code=202, tags=["rollout"], responses=responses)
    def rollback(model: Name, asked: bodies.Rollback, who: Operator) -> bodies.Changed:
        """Take the challenger back; where there is none, put the previous champion, or the version named, back."""
        return _changed(model, rollout.rollback(model, asked.version, asked.reason, name(who)))

    @app.post("/v1/models/{model}/pause", status_code=202, tags=["rollout"], responses=responses)
    def pause(model: Name, asked: bodies.Because, who: Operator) -> bodies.Changed:
        """Hold the challenger at its share of the traffic. Guardrails go on working."""
        return _changed(model, rollout.pause(model, asked.reason, name(who)))

    @app.post("/v1/models/{model}/resume", status_code=202, tags=["rollout"], responses=responses)
    def resume(model: Name, asked: bodies.Because, who: Operator) -> bodies.Changed:
        """Go on with a rollout that was paused."""
        return _changed(model, rollout.resume(model, asked.reason, name(who)))


def _install_views(app: FastAPI, rollouts: Rollouts, responses: dict[int | str, dict[str, object]]) -> None:
    @app.get("/v1/models/{model}/rollout", tags=["rollout"], responses={**responses, **problems.describe(_NONE_YET)})
    def show(model: Name, _: Reader) -> bodies.RolloutShown:
        """The rollout under way, else the last one: how far it is, by what evidence, and what it waits for."""
        view = rollouts.views.rollout(model, rollouts.datasets.spec(model).rollout)
        if view is None:
            raise ProblemError(_NONE_YET)
        shown = {**asdict(view), "traffic_percent": view.percent, "model": model}
        return bodies.RolloutShown.model_validate(shown)

    @app.get("/v1/models/{model}/audit-log", tags=["rollout"], responses=responses)
    def audit_log(model: Name, _: Reader) -> bodies.AuditLog:
        """Who did what to which version, when and why: the last 500 entries, newest first."""
        rollouts.datasets.spec(model)
        entries = [
            bodies.AuditEntry(
                sequence=entry.sequence,
                at=entry.at,
                who=entry.who,
                action=entry.action.value,
                version=entry.release.version,
                traffic_percent=entry.step.percent,
                reason=entry.reason,
            )
            for entry in rollouts.views.audit_log(model)
        ]
        return bodies.AuditLog(model=model, entries=entries)


def _changed(model: str, step: Step) -> bodies.Changed:
    champion, trial = step.standing.champion, step.standing.trial
    return bodies.Changed(
        model=model,
        action=step.action.value,
        version=step.release.version,
        champion=champion.version if champion else None,
        challenger=trial.release.version if trial else None,
        traffic_percent=step.percent,
        previous=step.previous,
        reason=step.reason,
    )
