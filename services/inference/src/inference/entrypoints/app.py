"""The inference API as one ASGI application."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from starlette.types import ASGIApp

from http_api import ops, problems
from inference.entrypoints import documents, models
from inference.entrypoints.desk import Desk
from inference.entrypoints.open_inference import http
from inference.entrypoints.predict import FrontDoor


def build(
    desk: Desk,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    checks: Mapping[str, Callable[[], Awaitable[str | None]]],
    alive: Callable[[], str | None],
) -> ASGIApp:
    """Predict requests are answered before the framework sees them; its OpenAPI document has them all the same."""
    app = FastAPI(
        title="Flywheel inference",
        version="1",
        description="Answers of the models that serve now, each with a token for feedback on it.",
        lifespan=lifespan,
    )
    app.state.api_keys = desk.keys
    app.router.routes.extend(http.routes(desk))
    app.include_router(models.router(desk.catalogue))
    problems.install(app)
    ops.install(app, checks, alive)
    documents.describe(app)
    return FrontDoor(desk, app)
