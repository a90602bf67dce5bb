"""Builds the service from its settings: the one place that makes clients."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from fastapi import FastAPI
from starlette.types import ASGIApp

from flywheel_schemas.spec import ModelSpec, load_specs
from flywheel_schemas.tokens import TokenKeys
from flywheel_schemas.topics import FEEDBACK_EVENTS
from http_api import server
from http_api.express import Lane
from http_api.keys import ApiKeys, bind_host
from ingest.adapters.broker_watch import BrokerWatch
from ingest.adapters.champions import FollowedChampions
from ingest.adapters.erasures import LakeErasures
from ingest.adapters.event_log import KafkaEventLog
from ingest.adapters.kafka_publishing import KafkaPublishing
from ingest.adapters.model_specs import SpecBook
from ingest.adapters.stored_events import LakeEvents
from ingest.application.accepting import Desk, TokenPolicy
from ingest.application.erasing import Erase
from ingest.application.whereabouts import Whereabouts
from ingest.entrypoints import http
from ingest.settings import Settings
from kafka_runtime import topics
from kafka_runtime.batches import BatchPublisher
from kafka_runtime.publisher import Publisher
from lake.lake import Lake
from telemetry import logging, tracing

SOURCE = "/flywheel/ingest"
_PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Service:
    """The built service."""

    app: ASGIApp
    lane: Lane
    settings: Settings

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        own = self.settings.ingest
        server.run(self.app, bind_host(own.api_keys_file), own.port, port_variable="INGEST_PORT", lane=self.lane)


def build(settings: Settings) -> Service:
    """The service that `settings` describe. Connects to nothing before it runs.

    Raises SpecError, KeyFileError or ValueError for files and values that cannot be used.
    """
    own = settings.ingest
    logging.configure("ingest", own.log_level)
    tracing.configure("ingest", own.otlp_endpoint)
    lake = Lake(settings.lake)
    book = SpecBook(lake, _shipped(settings))
    watch = BrokerWatch(partial(topics.ensure, settings.kafka, timeout_s=_PROBE_TIMEOUT_S))
    publisher = Publisher(
        settings.kafka,
        SOURCE,
        linger_ms=own.linger.total_seconds() * 1000,
        delivery_timeout_s=own.delivery_timeout.total_seconds(),
    )
    batches = BatchPublisher(settings.kafka, FEEDBACK_EVENTS, delivery_timeout_s=own.delivery_timeout.total_seconds())
    publishing = KafkaPublishing(publisher, batches, FEEDBACK_EVENTS, SOURCE, watch)
    champions = FollowedChampions(settings.kafka)
    keys = TokenKeys(own.token_key.get_secret_value())
    policy = TokenPolicy(own.require_token, own.token_max_age.total_seconds())
    parts = http.Parts(
        desk=Desk(book, keys, policy),
        publishing=publishing,
        look_for_models=book.look_now,
        whereabouts=Whereabouts(book, KafkaEventLog(settings.kafka), LakeEvents(lake), champions),
        keys=ApiKeys.load(own.api_keys_file),
        kafka_trouble=lambda: watch.trouble,
        erase=Erase(LakeErasures(lake), keys, _utc_now),
        cors_origins=own.cors_origins,
    )
    background = _Background(book, watch, publishing, champions, own.delivery_timeout.total_seconds())
    return Service(http.application(parts, background.running), http.express_lane(parts), settings)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _shipped(settings: Settings) -> Mapping[str, ModelSpec]:
    folder = settings.ingest.model_specs_dir
    if folder is None:
        return {}
    if not folder.is_dir():
        raise ValueError(f"MODEL_SPECS_DIR is {folder}, which is no folder; name the folder of the specs, or unset it")
    return load_specs(folder)


@dataclass(frozen=True, slots=True)
class _Background:
    """What runs beside the requests, from before the first to after the last."""

    book: SpecBook
    watch: BrokerWatch
    publishing: KafkaPublishing
    champions: FollowedChampions
    flush_timeout_s: float

    @asynccontextmanager
    async def running(self, _: FastAPI) -> AsyncIterator[None]:
        self.champions.start()
        await self.book.look_now()
        tasks = [asyncio.create_task(self.book.run()), asyncio.create_task(self.watch.run())]
        yield
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.publishing.close(self.flush_timeout_s)
        await asyncio.to_thread(self.champions.close)
        tracing.shutdown()
