"""Kafka's topics, as an operator looks at them."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from console.application.ports import Away, NotAllowed, Recorded
from flywheel_schemas.events import Feedback
from flywheel_schemas.topics import FEEDBACK_DEAD_LETTER, FEEDBACK_EVENTS, PREDICTIONS, Topic
from http_api.recent import Recent
from kafka_runtime import tail
from kafka_runtime.errors import KafkaRuntimeError
from kafka_runtime.publisher import Publisher
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings
from telemetry import logging

_LOG = logging.get(__name__)
REPLAYED_BY = "flywheel_replayed_by"
_GROUP = "flywheel-stream-processor-reader"
_PER_PARTITION = 100
_TIMEOUT_S = 4.0


class KafkaTopics:
    """What was read last is kept, and read anew for who asks next."""

    def __init__(self, settings: KafkaSettings, make_publisher: Callable[[], Publisher]) -> None:
        self._settings = settings
        self._make_publisher = make_publisher
        self._publisher: Publisher | None = None
        self._lock = threading.Lock()
        self._read_lately: Recent[Sequence[Recorded]] = Recent(times=2.0, old_s=30.0)

    def recent_feedback(self) -> Sequence[Recorded]:
        """The latest feedback events, newest first. Raises Away."""
        return self._read_lately.get(FEEDBACK_EVENTS, lambda: self._latest(FEEDBACK_EVENTS))

    def dead_letters(self) -> Sequence[Recorded]:
        """The latest dead letters, newest first. Raises Away."""
        return self._read_lately.get(FEEDBACK_DEAD_LETTER, lambda: self._latest(FEEDBACK_DEAD_LETTER))

    async def lag(self) -> Mapping[str, int]:
        """Per topic, how many records the stream processor has not come to. Raises Away."""
        try:
            return await asyncio.to_thread(lambda: {t.name: self._behind(t) for t in (FEEDBACK_EVENTS, PREDICTIONS)})
        except KafkaRuntimeError as error:
            raise Away(str(error)) from error

    def replay(self, letter: Recorded, value: bytes, who: str) -> None:
        """Puts `value` where the letter came from, under its key; its headers and the log say who did it.

        Raises NotAllowed for what is no event, Away.
        """
        topic, partition = letter.headers.get("dlq_topic"), letter.headers.get("dlq_partition", "")
        if topic != FEEDBACK_EVENTS.name or not partition.isdecimal():
            raise NotAllowed("Its headers do not say which topic and partition of feedback it came from.")
        try:
            event = Feedback.parse(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise NotAllowed(f"This is no feedback event: {where} {first['msg']}") from error
        if str(event.event_id) != letter.key:
            raise NotAllowed(f"The event_id must stay {letter.key}: it is what keeps the event from counting twice.")
        kept = {name: said for name, said in letter.headers.items() if not name.startswith("dlq_")}
        headers = [(name, said.encode()) for name, said in {**kept, REPLAYED_BY: who}.items()]
        try:
            with self._lock:
                self._publisher = self._publisher or self._make_publisher()
            self._publisher.send_and_wait(FEEDBACK_EVENTS, letter.key.encode(), value, headers, int(partition))
        except KafkaRuntimeError as error:
            raise Away(str(error)) from error
        _LOG.info("dead_letter_replayed", event_id=letter.key, who=who, changed=value != letter.value)

    def close(self) -> None:
        """Ends the producer, where one was made."""
        if self._publisher is not None:
            self._publisher.close()

    def _latest(self, topic: Topic) -> Sequence[Recorded]:
        try:
            found = [_recorded(each) for each in tail.latest(self._settings, topic, _PER_PARTITION, _TIMEOUT_S)]
        except KafkaRuntimeError as error:
            raise Away(str(error)) from error
        return sorted(found, key=lambda record: record.at, reverse=True)

    def _behind(self, topic: Topic) -> int:
        ends = tail.end_offsets(self._settings, topic, _TIMEOUT_S)
        done = tail.committed_offsets(self._settings, _GROUP, topic, _TIMEOUT_S)
        return sum(max(0, end - done.get(partition, 0)) for partition, end in ends.items())


def _recorded(record: Record) -> Recorded:
    return Recorded(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key.decode("utf-8", "replace"),
        value=record.value or b"",
        at=datetime.fromtimestamp(max(record.timestamp_ms, 0) / 1000, UTC),
        headers={name: value.decode("utf-8", "replace") for name, value in record.headers},
    )
