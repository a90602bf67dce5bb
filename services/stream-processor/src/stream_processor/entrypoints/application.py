"""The Faust application: hosts the batch readers, and owns thresholds through an agent on dataset-committed."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import faust
import msgspec

from flywheel_schemas.topics import DATASET_COMMITTED, FEEDBACK_EVENTS
from kafka_runtime import cloud_events, messaging
from kafka_runtime.errors import Retryable as KafkaRetryable
from kafka_runtime.partitioner import partition_for
from lake import Retryable as LakeRetryable
from stream_processor.application.owning import ThresholdOwner
from stream_processor.application.ports import Specs
from telemetry import logging

_LOG = logging.get(__name__)
Job = Callable[[], Awaitable[None]]


class ThresholdLoop:
    """Evaluates models whose dataset grew soon, and all owned models now and then: a lost event delays, no more."""

    def __init__(self, owner: ThresholdOwner, specs: Specs, partitions: int, every_s: float) -> None:
        self._owner = owner
        self._specs = specs
        self._partitions = partitions
        self._every_s = every_s
        self._owned: frozenset[int] = frozenset()
        self._grown: dict[str, deque[str]] = {}
        self._unannounced: set[str] = set()
        self._newly_owned = False
        self._wake = asyncio.Event()

    def grew(self, model: str, traceparent: str | None = None) -> None:
        """The model's dataset has new rows, by the commit of that trace."""
        causes = self._grown.setdefault(model, deque(maxlen=messaging.MAX_LINKS))
        if traceparent:
            causes.appendleft(traceparent)
        self._wake.set()

    def own(self, partitions: frozenset[int]) -> None:
        """These partitions of dataset-committed are ours from now on, with the models whose keys fall there."""
        self._owned = partitions
        self._newly_owned = True
        self._wake.set()

    async def run(self) -> None:
        """Evaluate until cancelled. Retryable troubles are logged and met again at the next turn."""
        while True:
            try:
                async with asyncio.timeout(self._every_s):
                    await self._wake.wait()
            except TimeoutError:
                self._look_at(await self._owned_models())
            self._wake.clear()
            if self._newly_owned:
                await self._take_over()
            grown, self._grown = self._grown, {}
            for model, causes in sorted(grown.items()):
                await self._evaluate(model, [*causes])
            # A busy dataset is announced many times a second; one look at it serves them all.
            await asyncio.sleep(0.2)

    def _look_at(self, models: set[str]) -> None:
        for model in models:
            self.grew(model)

    async def _evaluate(self, model: str, causes: Sequence[str]) -> None:
        """`causes` are the traces of the commits that made the dataset grow, the newest first."""
        looking = messaging.processing_batch(DATASET_COMMITTED.name, causes, len(causes)) if causes else nullcontext()
        try:
            with looking:
                if model in self._unannounced:
                    await asyncio.to_thread(self._owner.announce_again, model)
                    self._unannounced.discard(model)
                await asyncio.to_thread(self._owner.evaluate, model, datetime.now(UTC))
        except (LakeRetryable, KafkaRetryable) as exc:
            self._unannounced.add(model)
            _LOG.warning("threshold_not_evaluated", model=model, detail=str(exc))

    async def _take_over(self) -> None:
        self._newly_owned = False
        self._unannounced = await self._owned_models()
        self._look_at(self._unannounced)

    async def _owned_models(self) -> set[str]:
        try:
            specs = await asyncio.to_thread(self._specs.reload)
        except LakeRetryable as exc:
            _LOG.warning("specs_not_reloaded", detail=str(exc))
            self._newly_owned = True
            return set()
        return {model for model in specs if partition_for(model.encode(), self._partitions) in self._owned}


class _Commit(msgspec.Struct):
    topic: str


_read_commit = msgspec.json.Decoder(_Commit).decode


def is_about_feedback(value: bytes) -> bool:
    """Whether a dataset-committed event tells of new feedback; one that cannot be read may do."""
    try:
        return _read_commit(value).topic == FEEDBACK_EVENTS.name
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return True


def build(
    app: faust.App, jobs: Sequence[Job], thresholds: ThresholdLoop, failed: Callable[[BaseException], None]
) -> None:
    """Put the jobs, the agent and the threshold loop into `app`. `failed` hears of an error that ends one of them."""
    committed = app.topic(
        DATASET_COMMITTED.name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )

    @app.agent(committed)  # type: ignore[untyped-decorator] # Faust has no types
    async def own_thresholds(stream: Any) -> None:
        async for event in stream.events():
            if event.key and is_about_feedback(event.value):
                traceparent = cloud_events.traceparent(event.message.headers or ())
                thresholds.grew(event.key.decode("utf-8", "replace"), traceparent)

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator] # Faust has no types
    async def assigned(_: Any, assigned: Any, **__: Any) -> None:
        ours = frozenset(tp.partition for tp in assigned if tp.topic == DATASET_COMMITTED.name)
        thresholds.own(ours)

    async def guarded(job: Job) -> None:
        try:
            await job()
        except asyncio.CancelledError:
            raise
        except BaseException as exc:
            failed(exc)

    @app.service
    class Host(faust.Service):  # type: ignore[misc] # Faust has no types
        """Runs the batch readers, their pipelines and the threshold loop as long as the application lives."""

        async def on_start(self) -> None:
            for job in (*jobs, thresholds.run):
                self.add_future(guarded(job))
