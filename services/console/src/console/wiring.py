"""Builds the console from its settings: the one place that makes clients."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from console.adapters.http import HttpServices
from console.adapters.meter import ScrapedMeter
from console.adapters.remembering import Remembering
from console.adapters.sampled import Sampled, SampledLoop
from console.adapters.tables import LakeTables
from console.adapters.topics import KafkaTopics
from console.entrypoints import pages
from console.entrypoints.views import Views
from console.settings import ConsoleSettings
from http_api import keys, ops, problems
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings
from lake.lake import Lake
from lake.settings import LakeSettings

SOURCE = "/flywheel/console"
_ANSWER_WITHIN_S, _EVERY_S = 10.0, 2.0


def build(settings: ConsoleSettings, kafka: KafkaSettings, lake: LakeSettings) -> FastAPI:
    """The console as an ASGI application. Opens no connection before it is served."""
    client = httpx.AsyncClient(timeout=_ANSWER_WITHIN_S)
    urls = {
        "ingest": settings.ingest_url,
        "stream-processor": settings.processor_url,
        "trainer": settings.trainer_url,
        "inference": settings.inference_url,
    }
    meter = ScrapedMeter(client, urls)
    services = HttpServices(client, urls)
    topics = KafkaTopics(kafka, lambda: Publisher(kafka, SOURCE))

    loop = SampledLoop(Sampled(services.readiness, _EVERY_S), Sampled(topics.lag, _EVERY_S))

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        looking = asyncio.gather(meter.run(), loop.run())
        async with client:
            yield
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking
        await asyncio.to_thread(topics.close)

    app = FastAPI(title="Flywheel console", version="1", lifespan=life, docs_url=None, redoc_url=None)
    problems.install(app)
    ops.install(app, checks={})
    views = Views(Remembering(services), topics, LakeTables(Lake(lake), settings.specs_dir), meter, loop)
    pages.install(app, views, keys.ApiKeys.load(settings.api_keys_file), client, settings.ingest_url)
    return app
