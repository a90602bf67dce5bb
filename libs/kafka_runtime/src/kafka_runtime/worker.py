"""Working through a low-volume topic as a consumer group, one record at a time, however long each takes."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from flywheel_schemas.topics import Topic
from kafka_runtime.dead_letter import DeadLetters
from kafka_runtime.handling import Burial, Handler, Settling, where
from kafka_runtime.outage import OutageLog
from kafka_runtime.publisher import Publisher
from kafka_runtime.record import Record, from_message, topic_name
from kafka_runtime.settings import KafkaSettings
from telemetry import logging

_LOG = logging.get("kafka_runtime")
_POLL_S = 0.1
_COMMIT_AGAIN_S = 1.0
_NOT_OURS = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._FENCED,
    }
)


@dataclass(slots=True)
class _InHand:
    """A record with its handler's thread. `settled` and `error` are valid once `finished` is set."""

    record: Record
    abandoned: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)
    settled: bool = False
    revoked: bool = False
    error: BaseException | None = None


class GroupWorker:
    """At least once: the offset is committed after the handler returned, never before.

    The handler runs in a thread, one record at a time, and may take minutes: the worker goes on polling
    with its partitions paused, so the group keeps it. When a record's partition is taken away meanwhile,
    a wait between attempts ends, a handler that runs is let finish, and nothing is committed: the new
    owner handles the record too. So handlers are idempotent. Poison goes to the dead-letter topic.
    What the worker cannot go on from is in `failure`, and `alive` turns False.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topic: Topic | str,
        handler: Handler,
        *,
        dead_letters: Burial | None = None,
        session_timeout_s: float = 10.0,
    ) -> None:
        self.topic = topic_name(topic)
        self.failure: BaseException | None = None
        letters = dead_letters or DeadLetters(settings, Publisher(settings, source=group))
        self._settling = Settling(handler, letters, group=group)
        self._outage = OutageLog(topic=self.topic, group=group)
        self._config = settings.librdkafka() | {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": int(session_timeout_s * 1000),
            "heartbeat.interval.ms": int(session_timeout_s * 250),
            "topic.metadata.refresh.interval.ms": 10_000,
            "error_cb": self._outage.failed,
        }
        self._stopping = threading.Event()
        self._grace_s = 0.0
        self._thread: threading.Thread | None = None
        self._in_hand: _InHand | None = None
        self._owed: dict[int, int] = {}
        self._commit_after_s = 0.0

    def start(self) -> None:
        """Join the group and begin, in a thread."""
        if self._thread is not None:
            raise RuntimeError("a GroupWorker starts once; make another one")
        self._thread = threading.Thread(target=self._run, name=f"work-{self.topic}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the worker works."""
        return self._thread is not None and self._thread.is_alive()

    def close(self, timeout_s: float = 10.0) -> None:
        """Leave the group. A handler gets `timeout_s` to return; a record whose handler does not is read again."""
        self._grace_s = timeout_s
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s + 5.0)

    def _run(self) -> None:
        consumer = Consumer(self._config)
        try:
            consumer.subscribe([self.topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
            while not self._stopping.is_set():
                self._step(consumer)
            self._wind_up(consumer)
        except Exception as exc:
            self.failure = exc
            _LOG.exception("worker_stopped", topic=self.topic)
        finally:
            consumer.close()

    def _step(self, consumer: Any) -> None:
        message = consumer.poll(_POLL_S)
        self._collect(consumer)
        self._commit_owed(consumer)
        if message is None:
            return
        if error := message.error():
            self._outage.failed(error)
            return
        self._outage.answered()
        self._begin(consumer, from_message(message))

    def _begin(self, consumer: Any, record: Record) -> None:
        if self._in_hand is not None:
            raise RuntimeError(f"a paused partition gave a record: {where(record)}")
        consumer.pause(consumer.assignment())
        hand = self._in_hand = _InHand(record)
        threading.Thread(target=self._settle, args=(hand,), name=f"handle-{self.topic}", daemon=True).start()

    def _settle(self, hand: _InHand) -> None:
        try:
            hand.settled = self._settling.settle(hand.record, hand.abandoned)
        except BaseException as exc:
            hand.error = exc
        finally:
            hand.finished.set()

    def _collect(self, consumer: Any) -> None:
        hand = self._in_hand
        if hand is None or not hand.finished.is_set():
            return
        self._in_hand = None
        if hand.error is not None:
            raise hand.error
        if hand.settled and not hand.revoked:
            self._owed[hand.record.partition] = hand.record.offset + 1
        consumer.resume(consumer.assignment())

    def _commit_owed(self, consumer: Any) -> None:
        if not self._owed or time.monotonic() < self._commit_after_s:
            return
        offsets = [TopicPartition(self.topic, partition, offset) for partition, offset in self._owed.items()]
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as exc:
            error = exc.args[0]
            _LOG.warning("commit_failed", topic=self.topic, error=error.str())
            if error.code() not in _NOT_OURS:
                self._commit_after_s = time.monotonic() + _COMMIT_AGAIN_S
                return
        self._owed.clear()

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        _LOG.info("partitions_assigned", topic=self.topic, partitions=[p.partition for p in partitions])
        consumer.incremental_assign(partitions)
        # librdkafka remembers across assignments which partitions were paused.
        (consumer.resume if self._in_hand is None else consumer.pause)(partitions)

    def _revoked(self, consumer: Any, partitions: list[Any]) -> None:
        self._collect(consumer)
        self._commit_owed(consumer)
        self._lost(consumer, partitions)

    def _lost(self, consumer: Any, partitions: list[Any]) -> None:
        gone = {p.partition for p in partitions}
        _LOG.info("partitions_revoked", topic=self.topic, partitions=sorted(gone))
        for partition in gone:
            self._owed.pop(partition, None)
        if self._in_hand is not None and self._in_hand.record.partition in gone:
            self._in_hand.revoked = True
            self._in_hand.abandoned.set()
        consumer.incremental_unassign(partitions)

    def _wind_up(self, consumer: Any) -> None:
        deadline = time.monotonic() + self._grace_s
        if self._in_hand is not None:
            self._in_hand.abandoned.set()
        while self._in_hand is not None and time.monotonic() < deadline:
            consumer.poll(_POLL_S)
            self._collect(consumer)
        self._commit_after_s = 0.0
        self._commit_owed(consumer)
