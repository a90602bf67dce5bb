"""Builds the service from its settings."""

import asyncio
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.types import ASGIApp

from flywheel_schemas.tokens import TokenKeys
from http_api import server
from http_api.express import Lane
from http_api.keys import ApiKeys, bind_host
from inference.adapters.champions import RegistryChampions
from inference.adapters.copies import DiskCopies
from inference.adapters.health_events import KafkaHealthLog
from inference.adapters.known_specs import KnownSpecs
from inference.adapters.measure import MODEL_BYTES, REFUSED_REQUESTS, Measures
from inference.adapters.outbox import Outbox
from inference.adapters.trial import TrialRun
from inference.adapters.updates import Updates
from inference.application.answer import AnswerQuestions
from inference.application.aside import Aside
from inference.application.ask import Asker
from inference.application.bring import World
from inference.application.catalogue import Catalogue
from inference.application.keep import Keeper
from inference.application.report import Reporter
from inference.application.shelf import OnDemand, Shelf
from inference.entrypoints import app as api
from inference.entrypoints.admission import Admission
from inference.entrypoints.desk import Desk
from inference.entrypoints.open_inference.server import GrpcServer
from inference.entrypoints.predict_lane import PredictLane
from inference.settings import Settings
from inference.wiring import courier
from kafka_runtime.publisher import Publisher
from lake import Lake
from registry import Registry
from telemetry import logging

log = logging.get(__name__)
_SEND_EVERY_S = 0.005
_BUSY_S = 0.002  # so much later than it was due: requests were waiting for the loop
_HAND_OVER_TIMEOUT_S = 18.0  # longer than it takes the courier to give records up
_HEALTH_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class _Background:
    """What runs beside the requests."""

    keeper: Keeper
    updates: Updates
    asker: Asker
    reporter: Reporter
    trial: TrialRun
    pool: ThreadPoolExecutor
    others: OnDemand
    threads: tuple[threading.Thread, ...]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()
        self.updates.start(self.keeper.hear)

    def stop(self) -> None:
        self.updates.close()
        self.asker.stop()
        self.keeper.stop()
        self.reporter.stop()
        for thread in self.threads:
            thread.join(10.0)
        self.pool.shutdown()
        self.trial.close()

    def dead(self) -> str | None:
        """Why the process should be restarted."""
        ended = [thread.name for thread in self.threads if not thread.is_alive()]
        return f"a thread that never ends has ended: {', '.join(ended)}; restart" if ended else None


@dataclass(frozen=True, slots=True)
class Service:
    """The built service."""

    app: ASGIApp
    lane: Lane
    settings: Settings

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        own = self.settings.own
        server.run(self.app, bind_host(own.api_keys_file), own.port, port_variable="INFERENCE_PORT", lane=self.lane)


def build(settings: Settings) -> Service:
    """The service that `settings` describe. Opens no connection before it runs."""
    own = settings.own
    token_keys = TokenKeys(own.feedback_token_key.get_secret_value())
    measures, catalogue = Measures(), Catalogue(own.model_pin)
    command = courier.command(own.spool_dir, own.spool_max_bytes, own.log_level)
    outbox = Outbox(command, measures, queue_rows=own.queue_rows)
    aside = Aside(outbox, rows_per_s=own.shadow_rows_per_s)
    background = _background(settings, catalogue, measures, token_keys)
    catalogue.topic_problem = lambda: _topic_problem(background)
    desk = Desk(
        catalogue,
        AnswerQuestions(token_keys, outbox, measures, aside),
        ApiKeys.load(own.api_keys_file),
        Admission(own.max_concurrent, own.max_pending_bytes, REFUSED_REQUESTS.inc),
        background.pool,
        background.others,
    )
    grpc_server = None
    if own.grpc_port:
        host, age_s = bind_host(own.api_keys_file), own.grpc_connection_age_s
        grpc_server = GrpcServer(desk, host, own.grpc_port, connection_age_s=age_s)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        if grpc_server:
            await grpc_server.start()
        background.start()
        bringing = asyncio.create_task(outbox.run())
        sending = asyncio.create_task(_between_replies(outbox, aside))
        yield
        if grpc_server:
            await grpc_server.stop()
        sending.cancel()
        await asyncio.to_thread(background.stop)
        await outbox.close(bringing, _HAND_OVER_TIMEOUT_S)

    async def models() -> str | None:
        return catalogue.unready()

    return Service(api.build(desk, life, {"models": models}, background.dead), PredictLane(desk), settings)


async def _between_replies(outbox: Outbox, aside: Aside) -> None:
    """What the event loop itself does, a slice at a time: other threads would take Python's lock from it."""
    clock, more, due_s = asyncio.get_running_loop().time, False, 0.0
    while True:
        try:
            aside.some(busy=more or clock() - due_s > _BUSY_S)
            more = outbox.send_some()
        except Exception:
            log.exception("predictions_not_sent")
            more = False
        due_s = clock() + _SEND_EVERY_S
        await asyncio.sleep(0.0 if more else _SEND_EVERY_S)


def _background(
    settings: Settings,
    catalogue: Catalogue,
    measures: Measures,
    token_keys: TokenKeys,
) -> _Background:
    own, trial, registry = settings.own, TrialRun(), Registry(settings.registry)
    champions = RegistryChampions(registry, own.model_pin)
    copies = DiskCopies(own.cache_dir, registry.artifacts)
    health = Publisher(settings.kafka, "/flywheel/inference", linger_ms=0.0, delivery_timeout_s=_HEALTH_TIMEOUT_S)
    replica = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
    reporter = Reporter(catalogue, KafkaHealthLog(health), replica)
    world = World(champions, copies, trial, measures, token_keys)
    shelf = Shelf(own.memory_bytes, catalogue.serving_bytes)
    MODEL_BYTES.labels("serving").set_function(catalogue.serving_bytes)
    MODEL_BYTES.labels("kept").set_function(lambda: shelf.bytes)
    keeper = Keeper(catalogue, world, shelf, on_trip=reporter.wake)
    specs = KnownSpecs(Lake(settings.lake), own.specs_dir)
    asker = Asker(champions, specs, catalogue, keeper.hear, every_s=own.registry_poll_s)
    work = {
        "model-keeper": keeper.run,
        "registry-asker": asker.run,
        "challenger-health": reporter.run,
    }
    return _Background(
        keeper,
        Updates(settings.kafka),
        asker,
        reporter,
        trial,
        ThreadPoolExecutor(own.threads, thread_name_prefix="predict"),
        OnDemand(world, shelf),
        tuple(threading.Thread(target=run, name=name, daemon=True) for name, run in work.items()),
    )


def _topic_problem(background: _Background) -> str | None:
    if background.updates.caught_up and not background.keeper.behind:
        return None
    return "has not been read to its end"
