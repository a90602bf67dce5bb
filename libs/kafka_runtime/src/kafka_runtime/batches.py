"""Publishing many records at a time: for a fifth of the processor time that `Publisher` takes for a record."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka import errors as client_errors
from aiokafka.errors import KafkaError

from flywheel_schemas.topics import Topic
from kafka_runtime.errors import BrokerUnavailable, KafkaRuntimeError, RecordRefused
from kafka_runtime.partitioner import partitions_for
from kafka_runtime.record import Outgoing
from kafka_runtime.settings import KafkaSettings

_BATCH_BYTES = 512 * 1024  # half of what a broker takes by default
_RETRY_AFTER_S = 1.0
# One record may be the reason for which the broker refuses a batch.
_REFUSED_FOR_ONE = (
    client_errors.MessageSizeTooLargeError,
    client_errors.RecordListTooLargeError,
    client_errors.CorruptRecordException,
)
_REFUSED = (*_REFUSED_FOR_ONE, client_errors.InvalidTopicError, client_errors.TopicAuthorizationFailedError)


class BatchPublisher:
    """A producer for one topic and one event loop, for those who have many records at once.

    A partition's records are gathered into batches in C (aiokafka), and all replicas acknowledge a batch as a whole;
    `Publisher` (librdkafka) makes an object, a call and a report of each record. It keeps the order within a
    partition, and a record that the broker refuses takes no other with it. It is not idempotent: where an
    acknowledgement is lost a batch is stored twice, so it suits topics whose readers look for what they have seen.
    """

    def __init__(self, settings: KafkaSettings, topic: Topic, *, delivery_timeout_s: float = 10.0) -> None:
        """`delivery_timeout_s` is how long a record may wait for its acknowledgement."""
        self._settings = settings
        self._topic = topic.name
        self._timeout_s = delivery_timeout_s
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()

    async def publish_all(self, records: Sequence[Outgoing]) -> dict[int, KafkaRuntimeError]:
        """Send all, and return when nothing is open any more: why the records at these positions were not acknowledged.

        Raises BrokerUnavailable when nothing was sent at all.
        """
        if not records:
            return {}
        producer = await self._connected()
        shares = await self._by_partition(producer, records)
        sends = (self._send(producer, partition, records, places) for partition, places in shares.items())
        failed: dict[int, KafkaRuntimeError] = {}
        for part in await asyncio.gather(*sends):
            failed |= part
        return failed

    async def close(self, timeout_s: float) -> None:
        """Wait for what is on its way, then drop the connection."""
        if self._producer is not None:
            self._replace(self._producer)
        if self._leaving:
            _, late = await asyncio.wait(self._leaving, timeout=timeout_s)
            for each in late:
                each.cancel()

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                # Its callers are told of each failure; a line per attempt would drown what they log.
                logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
                producer = AIOKafkaProducer(
                    **self._settings.aiokafka(),
                    acks="all",
                    max_batch_size=_BATCH_BYTES,
                    request_timeout_ms=int(self._timeout_s * 1000),
                )
                try:
                    await asyncio.wait_for(producer.start(), self._timeout_s)
                except (KafkaError, TimeoutError) as exc:
                    await producer.stop()
                    raise self._failure(exc) from exc
                self._producer = producer
            return self._producer

    async def _by_partition(self, producer: AIOKafkaProducer, records: Sequence[Outgoing]) -> dict[int, list[int]]:
        """Positions of the records of each partition, in their order."""
        try:
            count = len(await asyncio.wait_for(producer.partitions_for(self._topic), self._timeout_s))
        except (KafkaError, TimeoutError) as exc:
            self._replace(producer)
            raise self._failure(exc) from exc
        found = defaultdict(list)
        for place, partition in enumerate(partitions_for([key for key, _, _ in records], count)):
            found[partition].append(place)
        return found

    async def _send(
        self, producer: AIOKafkaProducer, partition: int, records: Sequence[Outgoing], places: Iterable[int]
    ) -> dict[int, KafkaRuntimeError]:
        """Send one partition's records, batch after batch: why some were not acknowledged."""
        failed: dict[int, KafkaRuntimeError] = {}
        for batch, inside in _batches(producer, records, places):
            try:
                async with asyncio.timeout(self._timeout_s):
                    acknowledged = await producer.send_batch(batch, self._topic, partition=partition)
                    acknowledged.add_done_callback(_seen)
                    await acknowledged
            except (KafkaError, TimeoutError) as exc:
                if isinstance(exc, _REFUSED_FOR_ONE) and len(inside) > 1:
                    for half in (inside[: len(inside) // 2], inside[len(inside) // 2 :]):
                        failed |= await self._send(producer, partition, records, half)
                    continue
                failed |= dict.fromkeys(inside, self._failure(exc))
                if not isinstance(exc, _REFUSED):
                    self._replace(producer)
        return failed

    def _replace(self, producer: AIOKafkaProducer) -> None:
        """Let a producer end, and the next call make another: one that has failed may never work again."""
        if self._producer is producer:
            self._producer = None
            leaving = asyncio.create_task(_stopped(producer))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    def _failure(self, error: Exception) -> KafkaRuntimeError:
        if isinstance(error, _REFUSED):
            return RecordRefused(self._topic, str(error))
        return BrokerUnavailable(self._topic, _RETRY_AFTER_S, str(error) or "no acknowledgement in time")


def _batches(
    producer: AIOKafkaProducer, records: Sequence[Outgoing], places: Iterable[int]
) -> Iterator[tuple[Any, list[int]]]:
    """Batches of the records at `places`, and which of them each holds. A record too large for any has its own."""
    batch = producer.create_batch()
    inside: list[int] = []
    for place in places:
        key, value, headers = records[place]
        if batch.append(key=key, value=value, headers=headers, timestamp=None) is None:
            yield batch, inside
            batch, inside = producer.create_batch(), []
            batch.append(key=key, value=value, headers=headers, timestamp=None)
        inside.append(place)
    yield batch, inside


async def _stopped(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(KafkaError):
        await producer.stop()


def _seen(acknowledged: "asyncio.Future[Any]") -> None:
    """Nobody waits any more for what comes after the time allowed."""
    if not acknowledged.cancelled():
        acknowledged.exception()
