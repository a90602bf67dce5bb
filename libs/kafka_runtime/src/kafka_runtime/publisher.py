"""Publishing: acknowledged by all replicas, in order, to the partition that every other client would choose."""

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

from confluent_kafka import KafkaError, KafkaException, Producer

from flywheel_schemas.topics import Topic
from kafka_runtime import cloud_events, messaging
from kafka_runtime.errors import BrokerUnavailable, KafkaRuntimeError, RecordRefused
from kafka_runtime.record import Headers, topic_name
from kafka_runtime.settings import KafkaSettings
from telemetry import tracing

OnDelivery = Callable[[Any, Any], None]
_ANY_PARTITION = -1
_REFUSED = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_RECORD,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError._INVALID_ARG,
        KafkaError._UNKNOWN_PARTITION,
    }
)


class Encodable(Protocol):
    """An event that knows its own JSON; every event of flywheel_schemas is one."""

    def encode(self) -> bytes:
        """One JSON object in UTF-8."""


class Publisher:
    """A producer for one process; `source` becomes ce_source. Safe to share among threads.

    Idempotent, acks=all: librdkafka's own retries neither double nor reorder. `linger_ms` trades
    latency for larger batches; `delivery_timeout_s` is how long a record may wait for its acknowledgement.
    """

    def __init__(
        self, settings: KafkaSettings, source: str, *, linger_ms: float = 5.0, delivery_timeout_s: float = 10.0
    ) -> None:
        self._source = source
        self._timeout_s = delivery_timeout_s
        self._config = settings.librdkafka() | {
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "linger.ms": linger_ms,
            "delivery.timeout.ms": int(delivery_timeout_s * 1000),
            "message.max.bytes": 16 * 1024 * 1024,
        }
        self._renewal = threading.Lock()
        self._disowned = False
        self._producer = Producer(self._config)

    def publish(self, topic: Topic, key: str, event: Encodable, *, event_id: str | None = None) -> None:
        """Publish one event and return when all replicas have it. `event_id` becomes ce_id (default: a new UUID).

        Raises BrokerUnavailable when nothing acknowledged it in time, RecordRefused when nothing ever will.
        """
        ce_id = event_id or str(uuid4())
        with messaging.sending(topic, message_id=ce_id):
            now, trace = datetime.now(UTC), tracing.current_traceparent()
            headers = cloud_events.headers(topic, ce_id, self._source, now, trace)
            self.send_and_wait(topic, key.encode(), event.encode(), headers)

    def send_and_wait(
        self, topic: Topic | str, key: bytes, value: bytes | None, headers: Headers, partition: int = _ANY_PARTITION
    ) -> None:
        """As `publish`, with the bytes as they are and, where the key does not decide, an explicit partition."""
        outcome: list[Any] = []
        self.send_raw(topic, key, value, headers, lambda error, _: outcome.append(error), partition=partition)
        deadline = time.monotonic() + self._timeout_s + 5.0
        while not outcome and time.monotonic() < deadline:
            self._producer.poll(0.05)
        if not outcome:
            raise BrokerUnavailable(topic_name(topic), 1.0)
        if outcome[0] is not None:
            raise self.failure(topic, outcome[0])

    def send_raw(
        self,
        topic: Topic | str,
        key: bytes,
        value: bytes | None,
        headers: Headers,
        on_delivery: OnDelivery | None = None,
        *,
        partition: int = _ANY_PARTITION,
    ) -> None:
        """Hand one record to the client and return at once; `on_delivery(error, message)` runs inside poll or flush.

        Raises BrokerUnavailable when the client's queue is full, RecordRefused when the record can never be sent.
        """
        name = topic if isinstance(topic, str) else topic.name
        if self._disowned:
            self._renew()
        try:
            self._producer.produce(
                name, value=value, key=key, partition=partition, on_delivery=on_delivery, headers=headers
            )
        except BufferError as exc:
            raise BrokerUnavailable(name, 1.0, "the queue of unsent records is full") from exc
        except KafkaException as exc:
            raise self.failure(name, exc.args[0]) from exc

    def poll(self, timeout_s: float = 0.0) -> int:
        """Serve delivery reports for up to `timeout_s`; how many were served."""
        return int(self._producer.poll(timeout_s))

    def flush(self, timeout_s: float) -> int:
        """Wait until everything sent is acknowledged or `timeout_s` is over; how many records are still waiting."""
        return int(self._producer.flush(timeout_s))

    def reachable(self, timeout_s: float = 2.0) -> bool:
        """Whether a broker answers within `timeout_s`."""
        with contextlib.suppress(KafkaException):
            self._producer.list_topics(timeout=timeout_s)
            return True
        return False

    def close(self, timeout_s: float = 10.0) -> None:
        """Flush what waits, then drop the connection. Raises BrokerUnavailable when records remain unacknowledged."""
        if waiting := self.flush(timeout_s):
            raise BrokerUnavailable("(any)", 1.0, f"{waiting} records were not acknowledged before closing")

    def failure(self, topic: Topic | str, error: Any) -> KafkaRuntimeError:
        """The error of a delivery report as BrokerUnavailable or RecordRefused. Safe inside `on_delivery`."""
        if error.code() in _REFUSED:
            return RecordRefused(topic_name(topic), error.str())
        if error.fatal() or error.code() == KafkaError._FATAL:
            self._disowned = True
        return BrokerUnavailable(topic_name(topic), 1.0, error.str())

    def _renew(self) -> None:
        """Replace a producer that its broker has disowned: it came back without this producer's sequence numbers."""
        with self._renewal:
            if not self._disowned:
                return
            # What was queued fails in its own delivery reports; nobody is left waiting.
            self._producer.purge()
            self._producer.flush(1.0)
            self._producer = Producer(self._config)
            self._disowned = False
