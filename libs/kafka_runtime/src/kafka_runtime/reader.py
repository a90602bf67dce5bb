"""Reading partitions by assignment, without a group: what following and tailing share."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from kafka_runtime.errors import BrokerUnavailable, KafkaRuntimeError, UnknownTopic
from kafka_runtime.outage import OutageLog
from kafka_runtime.record import Record, from_message
from kafka_runtime.settings import KafkaSettings
from kafka_runtime.topics import NO_SUCH, known_partitions

_RETRY_AFTER_S = 2.0
_ASK_AGAIN_S = 0.05
_UNKNOWN_S = 1.0
_NO_LEADER_YET = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})


class AssignedReader:
    """A consumer of chosen partitions of one topic. `ended` are those whose end has been seen.

    Commits nothing and joins no group, so it disturbs nobody. For one thread.
    """

    def __init__(self, settings: KafkaSettings, topic: str, outage: OutageLog | None = None) -> None:
        self.topic = topic
        self.ended: set[int] = set()
        self.assigned: set[int] = set()
        self._outage = outage or OutageLog(topic=topic)
        self._consumer = Consumer(
            settings.librdkafka()
            | {
                "group.id": f"flywheel-reader-{uuid4()}",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
                "error_cb": self._outage.failed,
            }
        )

    def partitions(self, timeout_s: float) -> list[int]:
        """The topic's partitions. Raises UnknownTopic or BrokerUnavailable."""
        metadata = self._ask(lambda: self._consumer.list_topics(self.topic, timeout=timeout_s))
        return sorted(known_partitions(self.topic, metadata.topics.get(self.topic)))

    def watermarks(self, partition: int, timeout_s: float) -> tuple[int, int]:
        """First offset kept, and the offset that the next record will get. Raises UnknownTopic or BrokerUnavailable."""
        at = TopicPartition(self.topic, partition)
        begun = time.monotonic()
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(at, timeout=timeout_s)
            except KafkaException as exc:
                # A new topic's broker may not know yet that it leads the partition, though the metadata says so; and a
                # busy one has been seen to leave a partition out of its first answer.
                code = exc.args[0].code()
                patience_s = timeout_s if code in _NO_LEADER_YET else _UNKNOWN_S if code in NO_SUCH else 0.0
                if time.monotonic() - begun >= patience_s:
                    raise self._translated(exc) from exc
                time.sleep(_ASK_AGAIN_S)
            else:
                return int(low), int(high)

    def assign(self, starts: Mapping[int, int]) -> None:
        """Read each partition from its offset on; OFFSET_BEGINNING and OFFSET_END serve as offsets."""
        self.assigned, self.ended = set(starts), set()
        self._consumer.assign([TopicPartition(self.topic, p, offset) for p, offset in starts.items()])

    def assign_all(self, *, from_beginning: bool, timeout_s: float) -> None:
        """Read all partitions, from their beginning or from what comes next. Raises UnknownTopic, BrokerUnavailable."""
        start = OFFSET_BEGINNING if from_beginning else OFFSET_END
        self.assign(dict.fromkeys(self.partitions(timeout_s), start))

    def next(self, timeout_s: float) -> Record | None:
        """The next record, or None when nothing came in time or a partition's end was reached."""
        message = self._consumer.poll(timeout_s)
        if message is None:
            return None
        error = message.error()
        if error is None:
            self._outage.answered()
            return from_message(message)
        if error.code() == KafkaError._PARTITION_EOF:
            self._outage.answered()
            self.ended.add(message.partition())
        else:
            self._outage.failed(error)
        return None

    @property
    def at_end(self) -> bool:
        """Whether the end of every assigned partition has been seen at least once."""
        return self.ended >= self.assigned

    def close(self) -> None:
        """Give the connection back."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, question: Any) -> Any:
        try:
            return question()
        except KafkaException as exc:
            raise self._translated(exc) from exc

    def _translated(self, exc: KafkaException) -> KafkaRuntimeError:
        error = exc.args[0]
        if error.code() in NO_SUCH:
            return UnknownTopic(self.topic)
        return BrokerUnavailable(self.topic, _RETRY_AFTER_S, error.str())
