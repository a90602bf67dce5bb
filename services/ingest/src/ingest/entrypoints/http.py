"""The HTTP application: the two fast routes, the status, and what every service has."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from http_api import ops, problems
from http_api.keys import ApiKeys, require
from http_api.problems import Problem
from ingest.application.accepting import Desk
from ingest.application.erasing import Erasing
from ingest.application.ports import Publishing, SourceAway
from ingest.application.whereabouts import Whereabouts
from ingest.domain.refusals import UnknownModel
from ingest.entrypoints import (
    assets_route,
    batch_route,
    erasure_route,
    feedback_route,
    label_route,
    measures,
    openapi,
    status_route,
    statuses,
)
from ingest.entrypoints.feedback_lane import FeedbackLane
from ingest.entrypoints.intake import Intake

# Whoever may teach may also ask what came of an event whose random id they know; a browser's key needs no more roles.
_TELLS = Depends(require("read", "feedback:write"))
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is made of."""

    desk: Desk
    publishing: Publishing
    look_for_models: Callable[[], Awaitable[None]]
    whereabouts: Whereabouts
    keys: ApiKeys
    kafka_trouble: Callable[[], str | None]
    erase: Callable[[str, str], Erasing]
    cors_origins: Sequence[str] = ()


def application(parts: Parts, lifespan: Lifespan) -> ASGIApp:
    """The application that serves `parts`."""
    intake = Intake(parts.desk, parts.look_for_models)
    single = feedback_route.FeedbackRoute(intake, parts.publishing, parts.keys)
    batch = batch_route.BatchRoute(intake, parts.publishing, parts.keys)
    app = _framework(parts, lifespan, single, batch)
    return _open_to_browsers(app, parts.cors_origins) if parts.cors_origins else app


def express_lane(parts: Parts) -> FeedbackLane:
    """What answers the plain requests of POST /v1/feedback beside the application."""
    return FeedbackLane(Intake(parts.desk, parts.look_for_models), parts.publishing, parts.keys)


def _framework(
    parts: Parts, lifespan: Lifespan, single: feedback_route.FeedbackRoute, batch: batch_route.BatchRoute
) -> FastAPI:
    app = FastAPI(
        title="Flywheel ingest",
        version="1",
        summary="Takes people's feedback on predictions; what is acknowledged here reaches the dataset.",
        lifespan=lifespan,
    )
    app.state.api_keys = parts.keys
    problems.install(app)
    app.router.routes += [
        Route(feedback_route.PATH, single, methods=["POST"], include_in_schema=False),
        Route(batch_route.PATH, batch.__call__, methods=["POST"], include_in_schema=False),
    ]
    app.get(
        status_route.PATH,
        response_model_exclude_none=True,
        responses=problems.describe(
            status_route.not_found("5f0c5f3e-7e0c-4c53-a7b4-3f3a3c9d8f4e"),
            statuses.problem_of(SourceAway()),
            Problem(401, "Unauthorized", "The API key is not valid, or was revoked; ask for a new one."),
        ),
        dependencies=[_TELLS],
    )(status_route.status_of(parts.whereabouts, parts.look_for_models))
    app.get(
        label_route.PATH,
        responses=problems.describe(statuses.problem_of(UnknownModel("trains", ["flights"]))),
        dependencies=[_TELLS],
    )(label_route.label_of(parts.desk.models, parts.look_for_models))
    assets_route.install(app)
    erasure_route.install(app, parts.erase)
    measures.KAFKA_UP.set_function(lambda: float(parts.kafka_trouble() is None))
    ops.install(app, {"kafka": _kafka_check(parts.kafka_trouble)})
    openapi.install(app)
    return app


def _open_to_browsers(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "X-API-Key", "traceparent"],
        expose_headers=["Retry-After"],
        max_age=3600,
    )


def _kafka_check(trouble: Callable[[], str | None]) -> ops.Check:
    async def check() -> str | None:
        return trouble()

    return check
