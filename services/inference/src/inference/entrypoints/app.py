"""The inference API as one ASGI application."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from http_api import ops, problems
from starlette.routing import Route

from inference.entrypoints import documents, models, open_inference
from inference.entrypoints.predict import Desk, Predict

PREDICT_PATH = "/v1/models/{model}/predict"


def build(
    desk: Desk,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    checks: Mapping[str, Callable[[], Awaitable[str | None]]],
    alive: Callable[[], str | None],
) -> FastAPI:
    """Predict first, since routes are tried in order."""
    app = FastAPI(
        title="Flywheel inference",
        version="1",
        description="Answers of the models that serve now, each with a token for feedback on it.",
        lifespan=lifespan,
    )
    app.state.api_keys = desk.keys
    app.router.routes.insert(0, Route(PREDICT_PATH, Predict(desk), methods=["POST"], name="predict"))
    app.router.routes.extend(open_inference.routes(desk))
    app.include_router(models.router(desk.catalogue))
    problems.install(app)
    ops.install(app, checks, alive)
    documents.describe(app)
    return app
