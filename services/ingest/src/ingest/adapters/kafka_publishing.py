"""Accepted feedback into the topic: many requests wait, one look at the delivery reports wakes them together."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from flywheel_schemas.topics import Topic
from ingest.adapters.broker_watch import BrokerWatch
from ingest.application.ports import Accepted, BrokerAway, Crowded, NotPublished, Outcome, Unconfirmed
from kafka_runtime.errors import BrokerUnavailable, KafkaRuntimeError
from kafka_runtime.publisher import Publisher
from kafka_runtime.record import Headers

_LOOK_EVERY_S = 0.001


class KafkaPublishing:
    """Publishes from one event loop.

    While anything waits, the loop itself serves librdkafka's delivery reports once a millisecond. A thread
    that polls would fight the loop for the interpreter's lock at every single report.
    """

    def __init__(self, publisher: Publisher, topic: Topic, source: str, watch: BrokerWatch) -> None:
        self._publisher = publisher
        self._topic = topic
        self._watch = watch
        self._waiting = 0
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
            return dict.fromkeys((event.event_id for event in events), BrokerAway(self._watch.trouble))
        loop = self._loop or self._bind()
        sent = _Together(loop.create_future())
        shared = self._envelope.shared(received_at, traceparent)
        failed: dict[str, NotPublished] = {}
        count = 0  # not the events but for the failed: one id may be there twice
        for event in events:
            try:
                self._send(event, shared, sent.reported)
                count += 1
            except NotPublished as error:
                failed[event.event_id] = error
        sent.expect(count)
        self._look_soon()
        await sent.all_done
        self._waiting -= count
        return failed | {key.decode(): self._unconfirmed(error) for key, error in sent.errors.items()}

    def close(self, timeout_s: float) -> None:
        """Wait for what is still on its way."""
        self._publisher.flush(timeout_s)

    def _bind(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        return self._loop

    def _send(self, event: Accepted, shared: Headers, on_delivery: Any) -> None:
        key = event.event_id.encode()
        try:
            self._publisher.send_raw(self._topic.name, key, event.value, [("ce_id", key), *shared], on_delivery)
        except BrokerUnavailable as error:
            if isinstance(error.__cause__, BufferError):
                raise Crowded("more feedback waits for Kafka than this service holds") from error
            raise self._away(error) from error
        except KafkaRuntimeError as error:
            raise self._away(error) from error
        self._waiting += 1

    def _away(self, error: KafkaRuntimeError) -> BrokerAway:
        self._watch.failed(str(error))
        return BrokerAway(str(error))

    def _unconfirmed(self, error: Any) -> Unconfirmed:
        reason = str(self._publisher.failure(self._topic, error))
        self._watch.failed(reason)
        return Unconfirmed(reason)

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
        outcome(None if error is None else self._unconfirmed(error))


def _settle(acknowledged: asyncio.Future[None], failure: NotPublished | None) -> None:
    if acknowledged.done():  # given up
        return
    if failure is None:
        acknowledged.set_result(None)
    else:
        acknowledged.set_exception(failure)


class _Together:
    """Several events on their way; `errors` by key. `all_done` is when nothing is open any more."""

    def __init__(self, all_done: asyncio.Future[None]) -> None:
        self.errors: dict[bytes, Any] = {}
        self.all_done = all_done
        self._reported = 0
        self._expected = -1

    def expect(self, count: int) -> None:
        """So many were sent, and no more will be."""
        self._expected = count
        self._finish_if_complete()

    def reported(self, error: Any, message: Any) -> None:
        """A delivery report, as librdkafka gives it."""
        self._reported += 1
        if error is not None:
            self.errors[message.key()] = error
        self._finish_if_complete()

    def _finish_if_complete(self) -> None:
        if self._reported == self._expected and not self.all_done.done():
            self.all_done.set_result(None)


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
