"""Accepted feedback into the topic: single events by librdkafka, which gathers those of many; batches whole."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from flywheel_schemas.topics import Topic
from ingest.adapters.broker_watch import BrokerWatch
from ingest.application.ports import Accepted, BrokerAway, Crowded, NotPublished, Outcome, Unconfirmed
from kafka_runtime.batches import BatchPublisher
from kafka_runtime.errors import BrokerUnavailable, KafkaRuntimeError
from kafka_runtime.publisher import Publisher
from kafka_runtime.record import Headers

_LOOK_EVERY_S = 0.001
_MOST_IN_BATCHES = 100_000  # events; as many single ones fit into librdkafka's queue
_CROWDED = "more feedback waits for Kafka than this service holds"


class KafkaPublishing:
    """Publishes from one event loop.

    While anything waits, the loop itself serves librdkafka's delivery reports once a millisecond. A thread
    that polls would fight the loop for the interpreter's lock at every single report.
    """

    def __init__(
        self, publisher: Publisher, batches: BatchPublisher, topic: Topic, source: str, watch: BrokerWatch
    ) -> None:
        self._publisher = publisher
        self._batches = batches
        self._topic = topic
        self._watch = watch
        self._waiting = self._in_batches = 0
        self._looking = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._envelope = Envelope(topic, source)

    def send(self, event: Accepted, received_at: datetime, traceparent: str, outcome: Outcome) -> None:
        """Send the event; `outcome` is called once, with None when all replicas have it. Raises NotPublished."""
        if self._watch.trouble is not None:
            raise BrokerAway(self._watch.trouble)
        if self._loop is None:
            self._bind()
        shared = self._envelope.shared(received_at, traceparent)
        self._send(event, shared, partial(self._reported, outcome))
        if not self._looking:
            self._look_soon()

    def publish(self, event: Accepted, received_at: datetime, traceparent: str) -> asyncio.Future[None]:
        """Send the event; the future is done when all replicas have it. Both may raise NotPublished."""
        acknowledged: asyncio.Future[None] = (self._loop or self._bind()).create_future()
        self.send(event, received_at, traceparent, partial(_settle, acknowledged))
        return acknowledged

    async def publish_all(
        self, events: Sequence[Accepted], received_at: datetime, traceparent: str
    ) -> dict[str, NotPublished]:
        """Send all, and return when nothing is open any more: why the events of these ids were not published."""
        if self._watch.trouble is not None:
            return _all_of(events, BrokerAway(self._watch.trouble))
        if self._in_batches + len(events) > _MOST_IN_BATCHES:
            return _all_of(events, Crowded(_CROWDED))
        shared = self._envelope.shared(received_at, traceparent)
        keys = [event.event_id.encode() for event in events]
        records = [(key, event.value, [("ce_id", key), *shared]) for key, event in zip(keys, events, strict=True)]
        self._in_batches += len(events)
        try:
            failed = await self._batches.publish_all(records)
        except KafkaRuntimeError as error:
            return _all_of(events, self._away(error))
        finally:
            self._in_batches -= len(events)
        return {events[place].event_id: self._unconfirmed(error) for place, error in failed.items()}

    async def close(self, timeout_s: float) -> None:
        """Wait for what is still on its way."""
        self._publisher.flush(timeout_s)
        await self._batches.close(timeout_s)

    def _bind(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        return self._loop

    def _send(self, event: Accepted, shared: Headers, on_delivery: Any) -> None:
        key = event.event_id.encode()
        try:
            self._publisher.send_raw(self._topic.name, key, event.value, [("ce_id", key), *shared], on_delivery)
        except BrokerUnavailable as error:
            if isinstance(error.__cause__, BufferError):
                raise Crowded(_CROWDED) from error
            raise self._away(error) from error
        except KafkaRuntimeError as error:
            raise self._away(error) from error
        self._waiting += 1

    def _away(self, error: KafkaRuntimeError) -> BrokerAway:
        self._watch.failed(str(error))
        return BrokerAway(str(error))

    def _unconfirmed(self, error: KafkaRuntimeError) -> Unconfirmed:
        self._watch.failed(str(error))
        return Unconfirmed(str(error))

    def _look_soon(self) -> None:
        if not self._looking and self._waiting and self._loop is not None:
            self._looking = True
            self._loop.call_later(_LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._looking = False
        self._publisher.poll(0.0)
        self._look_soon()

    def _reported(self, outcome: Outcome, error: Any, _: Any) -> None:
        self._waiting -= 1
        outcome(None if error is None else self._unconfirmed(self._publisher.failure(self._topic, error)))


def _settle(acknowledged: asyncio.Future[None], failure: NotPublished | None) -> None:
    if acknowledged.done():  # given up
        return
    if failure is None:
        acknowledged.set_result(None)
    else:
        acknowledged.set_exception(failure)


def _all_of(events: Sequence[Accepted], failure: NotPublished) -> dict[str, NotPublished]:
    return dict.fromkeys((event.event_id for event in events), failure)


class Envelope:
    """The CloudEvents headers of kafka_runtime.cloud_events but for ce_id, with what never changes encoded once."""

    def __init__(self, topic: Topic, source: str) -> None:
        self._constant: Headers = [
            ("ce_specversion", b"1.0"),
            ("ce_source", source.encode()),
            ("ce_type", topic.ce_type.encode()),
            ("content-type", b"application/json"),
        ]

    def shared(self, received_at: datetime, traceparent: str) -> Headers:
        """What all events that came in together have in common."""
        time: str = msgspec.to_builtins(received_at)  # RFC 3339, a tenth of isoformat's time
        return [*self._constant, ("ce_time", time.encode()), ("traceparent", traceparent.encode())]
