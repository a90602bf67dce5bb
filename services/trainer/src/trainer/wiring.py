"""Builds the trainer from its settings: the one place that makes clients."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import FastAPI

from flywheel_schemas.topics import MODEL_UPDATED, THRESHOLD_REACHED
from http_api import keys, ops, problems
from kafka_runtime import topics
from kafka_runtime.publisher import Publisher
from kafka_runtime.worker import GroupWorker
from lake import Lake
from lake.erasures import Erasure
from registry import Registry, RegistryUnavailable
from registry.packaging import library_versions, warm_up
from trainer.adapters.cluster import ClusterLightGbm
from trainer.adapters.dataset_versions import LakeTables, LakeVersions
from trainer.adapters.datasets import LakeDatasets
from trainer.adapters.drift_histories import LakeDriftHistories
from trainer.adapters.erasures import LakeErasures
from trainer.adapters.gauges import GAUGES
from trainer.adapters.health import KafkaHealth
from trainer.adapters.kafka import KafkaAnnouncements, LakeTriggers
from trainer.adapters.learner import LightGbm
from trainer.adapters.ledger import MlflowLedger
from trainer.adapters.live_evidence import LakeEvidence
from trainer.adapters.models import RegisteredModels
from trainer.adapters.quarantine import LakeQuarantine
from trainer.adapters.rollout_log import LakeRolloutLog
from trainer.adapters.search import search
from trainer.adapters.source_code import git_commit
from trainer.adapters.webhooks import Webhook, group, secret_bytes
from trainer.adapters.windows import LakeWindows
from trainer.application.candidates import Candidates, Workshop
from trainer.application.conduct import Conductor
from trainer.application.drift_history import DriftHistory
from trainer.application.erase import Erase
from trainer.application.judging import Judging
from trainer.application.lineage import Lineage
from trainer.application.measuring import Measuring
from trainer.application.observing import Observing
from trainer.application.ports import Announcements, Learner
from trainer.application.progress import InProgress
from trainer.application.quarantine import Quarantine
from trainer.application.recover import Recover
from trainer.application.reproduce import Reproduce
from trainer.application.rollout import Rollout
from trainer.application.rollout_view import RolloutViews
from trainer.application.showing import Showing
from trainer.application.train import Train
from trainer.application.upkeep import KeepUp
from trainer.application.watching import Watching
from trainer.entrypoints import api, background, dataset_api, observed, worker
from trainer.entrypoints.background import Trainings
from trainer.entrypoints.hygiene_api import Hygiene
from trainer.entrypoints.lately import Lately
from trainer.entrypoints.repeating import Repeating
from trainer.entrypoints.rollout_api import Rollouts
from trainer.entrypoints.watch import watch
from trainer.settings import Settings

GROUP = "flywheel-trainer"


@dataclass(frozen=True, slots=True)
class Clients:
    """What talks to the outside. Tests replace single ones; None takes the real one."""

    registry: Registry
    announcements: Announcements
    learner: Learner


@dataclass(frozen=True, slots=True)
class Trainer:
    """The parts that somebody calls: the use cases, and the application that serves them."""

    train: Train
    rollout: Rollout
    conductor: Conductor
    recover: Recover
    reproduce: Reproduce
    watching: Watching
    measuring: Measuring
    app: FastAPI
    erase: Erase


def clients(settings: Settings, publisher: Publisher, lake: Lake) -> Clients:
    """The real ones."""
    scheduler = settings.trainer.dask_scheduler_address
    learner = ClusterLightGbm(scheduler) if scheduler else LightGbm()
    return Clients(Registry(settings.registry), KafkaAnnouncements(settings.kafka, publisher, lake), learner)


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def build(
    settings: Settings,
    *,
    replace: Callable[[Clients], Clients] = lambda real: real,
    now: Callable[[], datetime] = utc_now,
) -> Trainer:
    """The trainer. Opens no connection before the application is served or a use case called."""
    publisher = Publisher(settings.kafka, source="/flywheel/trainer")
    lake = Lake(settings.lake)
    used = replace(clients(settings, publisher, lake))
    registry = used.registry
    datasets = LakeDatasets(lake, settings.trainer.specs_dir)
    models = RegisteredModels(registry.artifacts)
    triggers = LakeTriggers(lake, publisher, now, settings.kafka.partitions)
    log = LakeRolloutLog(lake)
    rollout = Rollout(log, registry, Showing(registry, used.announcements, registry.run_store), now)
    health = KafkaHealth(settings.kafka, now)
    conductor = Conductor(datasets, rollout, LakeEvidence(lake), health, now)
    progress = InProgress()
    judging = Judging(used.learner, models)
    train = Train(
        datasets,
        Candidates(Workshop(datasets, used.learner, judging, search, settings.trainer.threads), progress),
        registry,
        runs=registry.run_store,
        ledger=MlflowLedger(registry, settings.trainer.git_commit or git_commit()),
        triggers=triggers,
        rollout=rollout,
        progress=progress,
        host=socket.gethostname(),
    )
    recover = Recover(datasets, used.announcements, rollout, train)
    reproduce = Reproduce(datasets, used.learner, registry, models, library_versions())
    trainings = Trainings(train, registry.run_store)
    rollouts = Rollouts(datasets, rollout, RolloutViews(log, conductor))

    def erasures() -> list[Erasure]:
        return lake.erasures.records()

    tables = LakeTables(lake)
    keep_up = KeepUp(datasets, registry, tables, now)
    operations = api.Operations(
        trainings.begin,
        datasets,
        triggers,
        registry.run_store,
        rollouts=rollouts,
        dataset=dataset_api.Dataset(LakeVersions(lake, now), keep_up, datasets.spec),
        reproduce=reproduce,
        lineage=Lineage(registry, models, datasets),
        progress=progress,
        hygiene=Hygiene(
            datasets,
            Quarantine(LakeQuarantine(lake, publisher, datasets.spec), now),
            erasures,
        ),
    )
    erase = Erase(LakeErasures(lake), registry, registry.run_store, now)
    windows = LakeWindows(lake)
    observing = Observing(windows, datasets, registry, models, learner=used.learner, now=now)
    watching = Watching(observing, windows, triggers, datasets, registry=registry, runs=registry.run_store, now=now)
    history = DriftHistory(datasets, LakeDriftHistories(lake))
    lately = Lately(observing)
    measuring = Measuring(lately, windows, datasets, rollout, sizes=tables, board=GAUGES, history=history, now=now)
    look, act = background.conducting(conductor)
    health.on_problem = act.wake
    repeating = (
        background.mending(recover, settings.trainer.recover_every_s),
        background.erasing(erase, settings.trainer.erase_every_s),
        background.upkeep(keep_up, settings.trainer.upkeep_every_s),
        watch(watching, settings.trainer.watch_every_s),
        background.measuring(measuring, settings.trainer.measure_every_s),
        look,
        act,
    )
    running = _Running(settings, train, trainings, health, repeating)
    app = _application(settings, operations, _checks(publisher, registry, lake), running)
    observed.install(app, lately, history)
    return Trainer(train, rollout, conductor, recover, reproduce, watching, measuring, app, erase=erase)


class _Running:
    """What runs beside the HTTP server."""

    def __init__(
        self,
        settings: Settings,
        train: Train,
        trainings: Trainings,
        health: KafkaHealth,
        repeating: Sequence[Repeating],
    ) -> None:
        self._settings = settings
        self._trainings = trainings
        self._health = health
        self._repeating = repeating
        self._worker = GroupWorker(settings.kafka, GROUP, THRESHOLD_REACHED, worker.handler(train))
        self._webhooks = _webhooks(settings)

    def start(self) -> None:
        topics.ensure(self._settings.kafka)
        for consumer in (self._worker, *self._webhooks):
            consumer.start()
        self._health.start()
        for each in self._repeating:
            each.start()
        threading.Thread(target=warm_up, name="warm-up", daemon=True).start()

    def close(self) -> None:
        for hook in self._webhooks:
            hook.close(1.0)
        self._health.close()
        for each in self._repeating:
            each.close()
        self._worker.close()
        self._trainings.close()

    def trouble(self) -> str | None:
        for each in (self._worker, *self._webhooks):
            if each.failure is not None:
                return f"the worker of {each.topic} stopped: {each.failure}; restart the trainer"
        return None


def _webhooks(settings: Settings) -> list[GroupWorker]:
    """A worker for each address. The topic is compacted: a new address gets the present state of each model."""
    secret = settings.trainer.webhook_secret
    if secret is None:
        return []
    key = secret_bytes(secret.get_secret_value())
    return [
        GroupWorker(settings.kafka, group(url), MODEL_UPDATED, Webhook(url, key, utc_now))
        for url in settings.trainer.webhook_urls
    ]


def _application(
    settings: Settings, operations: api.Operations, checks: Mapping[str, ops.Check], running: _Running
) -> FastAPI:
    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(running.start)
        yield
        await asyncio.to_thread(running.close)

    app = FastAPI(title="Flywheel trainer", version="1", lifespan=life)
    app.state.api_keys = keys.ApiKeys.load(settings.trainer.api_keys_file)
    problems.install(app)
    ops.install(app, checks, running.trouble)
    api.install(app, operations)
    return app


def _checks(publisher: Publisher, registry: Registry, lake: Lake) -> dict[str, ops.Check]:
    async def kafka() -> str | None:
        reachable = await asyncio.to_thread(publisher.reachable)
        return None if reachable else "Kafka does not answer; check KAFKA_BOOTSTRAP_SERVERS"

    async def mlflow() -> str | None:
        try:
            await asyncio.to_thread(registry.ping)
        except RegistryUnavailable as exc:
            return str(exc)
        return None

    async def store() -> str | None:
        return await asyncio.to_thread(lake.unreachable)

    return {"kafka": kafka, "mlflow": mlflow, "lake": store}
