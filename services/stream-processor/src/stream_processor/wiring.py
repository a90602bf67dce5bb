"""Builds the processor: the one place that makes clients, and shows every outside system."""

import asyncio
import secrets
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import faust
from aiokafka import AIOKafkaConsumer

from flywheel_schemas.tokens import TokenKeys
from flywheel_schemas.topics import FEEDBACK_EVENTS, PREDICTIONS, Topic
from kafka_runtime.publisher import Publisher
from lake import Lake
from stream_processor.adapters import measures
from stream_processor.adapters.announcements import SOURCE, KafkaAnnouncements
from stream_processor.adapters.dead_letters import KafkaDeadLetters
from stream_processor.adapters.formats import FeedbackFormat, PredictionFormat
from stream_processor.adapters.lake_tables import LakeTables
from stream_processor.adapters.screens import LakeScreens
from stream_processor.adapters.specs import LakeSpecs
from stream_processor.adapters.triggers import LakeTriggers
from stream_processor.application.deciding import Decider
from stream_processor.application.knowing import RetriedKnowledge
from stream_processor.application.owning import ThresholdOwner
from stream_processor.application.pipeline import Pipeline
from stream_processor.application.ports import Announcements, DeadLetters, Formats, Offsets, Specs, Tables
from stream_processor.application.recovering import Recovery
from stream_processor.application.settling import Patience, Settler
from stream_processor.application.watch import Watch
from stream_processor.domain.flushing import FlushPolicy
from stream_processor.entrypoints import application
from stream_processor.entrypoints.http import HttpServer
from stream_processor.entrypoints.http import application as http_application
from stream_processor.entrypoints.reader import GroupOffsets, TopicReader
from stream_processor.settings import Settings


def _as_it_is(made: Any) -> Any:
    return made


@dataclass(frozen=True, slots=True)
class Wraps:
    """What a test may put around the collaborators, to see or to break what passes through them."""

    offsets: Callable[[Offsets], Offsets] = _as_it_is
    tables: Callable[[Tables], Tables] = _as_it_is
    dead_letters: Callable[[DeadLetters], DeadLetters] = _as_it_is
    announcements: Callable[[Announcements], Announcements] = _as_it_is


@dataclass(frozen=True, slots=True)
class Processor:
    """Everything that runs in one process, built and not yet started."""

    settings: Settings
    app: faust.App
    readers: Sequence[TopicReader]
    http: HttpServer
    publisher: Publisher
    specs: Specs
    watch: Watch
    stopping: threading.Event
    failure: "asyncio.Future[BaseException]"


@dataclass(frozen=True, slots=True)
class _Shared:
    settings: Settings
    lake: Lake
    specs: Specs
    publisher: Publisher
    announcements: Announcements
    watch: Watch
    stopping: threading.Event
    wraps: Wraps


def build(settings: Settings, wraps: Wraps = Wraps()) -> Processor:
    """The processor for `settings`. Takes the HTTP port; call it inside the running event loop.

    Raises http_api.server.CannotListenError when the port cannot be had.
    """
    lake = Lake(settings.lake)
    publisher = Publisher(settings.kafka, SOURCE)
    shared = _Shared(
        settings,
        lake,
        LakeSpecs(lake, settings.model_specs_dir),
        publisher,
        wraps.announcements(KafkaAnnouncements(publisher)),
        Watch(settings.stuck_after_s),
        threading.Event(),
        wraps,
    )
    secret = settings.feedback_token_key
    hide_user = TokenKeys(secret.get_secret_value()).user_hash if secret else None
    streams = [
        _stream(shared, FEEDBACK_EVENTS, "feedback", lambda rules: FeedbackFormat(rules, hide_user)),
        _stream(shared, PREDICTIONS, "predictions", PredictionFormat),
    ]
    failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    app = _faust(settings)
    thresholds = application.ThresholdLoop(
        ThresholdOwner(shared.specs, LakeTriggers(lake, settings.kafka.partitions), shared.announcements),
        shared.specs,
        settings.kafka.partitions_control,
        settings.threshold_every_s,
    )
    jobs = [job for reader, pipeline in streams for job in (reader.run, pipeline.run)]
    application.build(app, jobs, thresholds, lambda exc: None if failure.done() else failure.set_result(exc))
    readers = [reader for reader, _ in streams]
    http = HttpServer(http_application(_checks(shared), shared.watch.stuck), settings.host, settings.port)
    return Processor(settings, app, readers, http, publisher, shared.specs, shared.watch, shared.stopping, failure)


def _stream(
    shared: _Shared, topic: Topic, kind: Literal["feedback", "predictions"], formats: Formats
) -> tuple[TopicReader, Pipeline]:
    settings, wraps = shared.settings, shared.wraps
    secret = (secrets.randbits(64), secrets.randbits(64))
    tables = wraps.tables(LakeTables(shared.lake, shared.specs, topic.name, kind))
    dead_letters = wraps.dead_letters(KafkaDeadLetters(settings.kafka, settings.reader_group))
    patience = Patience(settings.give_up_s, shared.stopping.wait, shared.watch.trouble(topic.name))
    recovery = Recovery(topic.name, tables, dead_letters, shared.specs, secret)
    settler = Settler(tables, dead_letters, shared.announcements if kind == "feedback" else None, patience)

    knowledge = RetriedKnowledge(recovery, tables, LakeScreens(shared.lake, shared.specs).current, patience)
    policy = FlushPolicy(settings.flush_rows, settings.flush_bytes, settings.flush_age_s)
    decider = Decider(topic.name, formats, shared.specs, secret, knowledge)
    done = partial(measures.flushed, topic.name)
    pipeline = Pipeline(
        topic.name,
        decider,
        settler,
        policy=policy,
        done=done,
        offsets=lambda: wraps.offsets(GroupOffsets(reader.consumer)),
    )
    reader = TopicReader(
        topic.name,
        lambda: _consumer(settings),
        pipeline,
        recovery=recovery,
        settler=settler,
        patience=patience,
        expired=measures.EXPIRED.labels(topic.name).inc,
    )
    measures.LAG.of(topic.name, reader.lag)
    shared.watch.reader(topic.name, lambda: reader.polled_at_s, lambda: reader.ready)
    return reader, pipeline


def _consumer(settings: Settings) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **settings.kafka.aiokafka(),
        group_id=settings.reader_group,
        client_id="flywheel-stream-processor-reader",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=int(settings.session_timeout_s * 1000),
        heartbeat_interval_ms=int(settings.session_timeout_s * 1000 / 4),
        rebalance_timeout_ms=30_000,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        fetch_max_bytes=32 * 1024 * 1024,
        fetch_max_wait_ms=200,
    )


def _faust(settings: Settings) -> faust.App:
    """Faust without its web server, tables on disk or leader topic: agents, services and their life cycle."""
    folder = settings.data_dir or Path(tempfile.gettempdir()) / f"flywheel-stream-processor-{settings.port}"
    return faust.App(
        settings.app_id,
        broker=[f"kafka://{server.strip()}" for server in settings.kafka.bootstrap_servers.split(",")],
        broker_credentials=_credentials(settings),
        store="memory://",
        datadir=str(folder),
        web_enabled=False,
        autodiscover=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 4,
        consumer_auto_offset_reset="latest",
        stream_wait_empty=False,
        worker_redirect_stdouts=False,
    )


def _credentials(settings: Settings) -> Any:
    kafka = settings.kafka
    context = kafka.aiokafka().get("ssl_context")
    if kafka.sasl_mechanism and kafka.sasl_password:
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password.get_secret_value(),
            mechanism=kafka.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context=context) if context else None


def _checks(shared: _Shared) -> dict[str, Any]:
    async def kafka() -> str | None:
        reachable = await asyncio.to_thread(shared.publisher.reachable, 2.0)
        return None if reachable else "Kafka does not answer; check KAFKA_BOOTSTRAP_SERVERS"

    async def lake() -> str | None:
        return await asyncio.to_thread(shared.lake.unreachable)

    async def partitions() -> str | None:
        return shared.watch.unready()

    async def flushes() -> str | None:
        return shared.watch.troubles()

    return {"kafka": kafka, "lake": lake, "partitions": partitions, "flushes": flushes}
