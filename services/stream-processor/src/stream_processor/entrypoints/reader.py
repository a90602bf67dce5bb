"""Reads one high-volume topic in batches, as a member of a consumer group, and feeds a pipeline."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from typing_extensions import override

from stream_processor.application.partition import Partition
from stream_processor.application.pipeline import Pipeline
from stream_processor.application.ports import Offsets
from stream_processor.application.recovering import Recovery
from stream_processor.application.settling import Patience, Settler
from telemetry import logging

_LOG = logging.get(__name__)
_POLL_MS = 50


class GroupOffsets(Offsets):
    """Positions of the consumer's group. What is committed is never beyond what is stored: callers see to that."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    @override
    async def commit(self, topic: str, next_offsets: Mapping[int, int]) -> None:
        ours = {tp.partition for tp in self._consumer.assignment()}
        positions = {TopicPartition(topic, number): offset for number, offset in next_offsets.items() if number in ours}
        for attempt in range(1, 8):
            try:
                if positions:
                    await self._consumer.commit(positions)
            except (CommitFailedError, IllegalStateError) as exc:
                # The partitions have a new owner, who reads again from the last commit and drops what the lake holds.
                _LOG.warning("offsets_left_to_new_owner", topic=topic, detail=str(exc))
                return
            except KafkaError as exc:
                _LOG.warning("offset_commit_retried", topic=topic, attempt=attempt, detail=repr(exc))
                await asyncio.sleep(min(0.25 * 2**attempt, 5.0))
            else:
                return
        # Not committed is not lost: the records are read again, and the lake drops them.
        _LOG.error("offsets_not_committed", topic=topic)


class TopicReader(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Polls, pauses when the pipeline is full, and recovers partitions before it hands over their records.

    Recovery runs beside polling, so that the group does not lose patience while the lake is slow.
    """

    def __init__(
        self,
        topic: str,
        consumer: Callable[[], AIOKafkaConsumer],
        pipeline: Pipeline,
        *,
        recovery: Recovery,
        settler: Settler,
        patience: Patience,
        expired: Callable[[int], None],
    ) -> None:
        """`expired` hears how many records Kafka deleted before they were read."""
        self.topic = topic
        self.polled_at_s = time.monotonic()
        self.ready = False
        self._make = consumer
        self._consumer: Any = None
        self._pipeline = pipeline
        self._recovery = recovery
        self._settler = settler
        self._patience = patience
        self._expired = expired
        self._waiting: set[TopicPartition] | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._paused = False

    @property
    def consumer(self) -> AIOKafkaConsumer:
        """The consumer, once `run` has begun."""
        return self._consumer

    def lag(self) -> dict[int, int]:
        """Records by partition that are in Kafka and not yet in the lake, as far as the broker has told."""
        found = {}
        for tp in self._consumer.assignment() if self.ready else ():
            end, stored = self._consumer.highwater(tp), self._pipeline.stored_up_to(tp.partition)
            if end is not None and stored is not None:
                found[tp.partition] = max(0, end - stored)
        return found

    async def run(self) -> None:
        """Read until cancelled. Raises what recovery could not overcome."""
        self._consumer = self._make()
        self._consumer.subscribe([self.topic], listener=self)
        await self._start()
        while True:
            self._advance_recovery()
            self._balance()
            for tp, records in (await self._consumer.getmany(timeout_ms=_POLL_MS)).items():
                self._pipeline.add(tp.partition, records)
            self.polled_at_s = time.monotonic()

    async def stop(self) -> None:
        """Leave the group."""
        if self._recovering is not None:
            self._recovering.cancel()
        if self._consumer is not None:
            await self._consumer.stop()

    @override
    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self.ready = False
        self._waiting = None
        self._pipeline.revoke()
        if self._recovering is not None:
            self._recovering.cancel()
        try:
            async with asyncio.timeout(10):
                await self._pipeline.idle()
        except TimeoutError:
            _LOG.warning("flush_outlives_assignment", topic=self.topic)

    @override
    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        _LOG.info("partitions_assigned", topic=self.topic, partitions=sorted(tp.partition for tp in assigned))
        self._waiting = set(assigned)
        self._paused = False
        self._consumer.pause(*assigned)

    async def _start(self) -> None:
        attempt = 0
        while True:
            try:
                await self._consumer.start()
            except KafkaError as exc:
                attempt += 1
                self._patience.troubled(f"Kafka: {exc!r}")
                _LOG.warning("reader_start_retried", topic=self.topic, attempt=attempt, detail=repr(exc))
                await asyncio.sleep(min(0.5 * 2**attempt, 10.0))
            else:
                return

    def _advance_recovery(self) -> None:
        if self._recovering is not None and self._recovering.done():
            finished, self._recovering = self._recovering, None
            if not finished.cancelled():
                finished.result()
        if self._waiting is not None and self._recovering is None:
            waiting, self._waiting = self._waiting, None
            self._recovering = asyncio.create_task(self._recover(waiting))

    async def _recover(self, assigned: set[TopicPartition]) -> None:
        await self._pipeline.idle()
        positions, ends = await self._positions(assigned)
        began = time.monotonic()
        partitions = await asyncio.to_thread(self._recover_blocking, positions, ends)
        if not assigned <= self._consumer.assignment():
            return
        self._pipeline.assign(partitions)
        for tp in assigned:
            self._consumer.seek(tp, positions[tp.partition])
        self._consumer.resume(*assigned)
        self.ready = True
        seen = sum(len(partition.seen) for partition in partitions.values())
        _LOG.info("partitions_recovered", topic=self.topic, seen=seen, seconds=round(time.monotonic() - began, 3))

    def _recover_blocking(self, positions: Mapping[int, int], ends: Mapping[int, int]) -> dict[int, Partition]:
        def once() -> dict[int, Partition]:
            return self._recovery.recover(positions, ends, time.time())

        partitions = self._patience.retry(f"recovery of {self.topic}", once)
        found = self._patience.retry("last commits", lambda: self._recovery.unannounced(list(partitions.values())))
        self._settler.announce(found)
        return partitions

    async def _positions(self, assigned: set[TopicPartition]) -> tuple[dict[int, int], dict[int, int]]:
        if not assigned:
            return {}, {}
        first = await self._consumer.beginning_offsets(list(assigned))
        ends = await self._consumer.end_offsets(list(assigned))
        committed = {tp: await self._consumer.committed(tp) for tp in assigned}
        for tp, position in committed.items():
            if position is not None and position < first[tp]:
                _LOG.error("records_expired", topic=self.topic, partition=tp.partition, records=first[tp] - position)
                self._expired(first[tp] - position)
        positions = {tp.partition: max(committed[tp] or 0, first[tp]) for tp in assigned}
        return positions, {tp.partition: end for tp, end in ends.items()}

    def _balance(self) -> None:
        """Pause while the pipeline is full; polling goes on, or the group would take the partitions away."""
        assigned = self._consumer.assignment()
        if not self.ready or not assigned or self._paused == self._pipeline.full:
            return
        self._paused = self._pipeline.full
        (self._consumer.pause if self._paused else self._consumer.resume)(*assigned)
