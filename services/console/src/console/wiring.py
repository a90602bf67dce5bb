"""Builds the console from its settings: the one place that makes clients."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from console.adapters.http import HttpModels, HttpServices
from console.adapters.model_names import RememberedNames
from console.application.show_overview import ShowOverview
from console.entrypoints import pages
from console.settings import ConsoleSettings
from flywheel_schemas.spec import ModelSpec
from http_api import keys, ops, problems
from lake.lake import Lake
from lake.settings import LakeSettings

_ANSWER_WITHIN_S = 4.0


def build(settings: ConsoleSettings, lake_settings: LakeSettings) -> FastAPI:
    """The console as an ASGI application. Opens no connection before it is served."""
    client = httpx.AsyncClient(timeout=_ANSWER_WITHIN_S)
    lake = Lake(lake_settings)

    def read_specs() -> dict[str, ModelSpec]:
        return lake.specs.with_shipped(settings.specs_dir)

    async def model_names() -> Sequence[str]:
        return sorted(await asyncio.to_thread(read_specs))

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    app = FastAPI(title="Flywheel console", version="1", lifespan=life, docs_url=None, redoc_url=None)
    problems.install(app)
    ops.install(app, checks={})
    urls = {
        "ingest": settings.ingest_url,
        "stream-processor": settings.processor_url,
        "trainer": settings.trainer_url,
        "inference": settings.inference_url,
    }
    key = settings.api_key.get_secret_value() if settings.api_key else None
    models = HttpModels(client, settings.inference_url, RememberedNames(model_names), key)
    pages.install(app, ShowOverview(HttpServices(client, urls), models), keys.ApiKeys.load(settings.api_keys_file))
    return app
