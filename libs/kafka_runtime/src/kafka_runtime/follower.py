"""Following a whole topic: every process that follows sees every record."""

import threading
from collections.abc import Callable

from flywheel_schemas.topics import Topic
from kafka_runtime import backoff
from kafka_runtime.errors import Retryable, UnknownTopic
from kafka_runtime.outage import OutageLog
from kafka_runtime.reader import AssignedReader
from kafka_runtime.record import Record, topic_name
from kafka_runtime.settings import KafkaSettings
from telemetry import logging

_LOG = logging.get("kafka_runtime")
_METADATA_TIMEOUT_S = 5.0


class Follower:
    """Reads all partitions of a low-volume topic in a thread of its own, without a group.

    Records of one key come in order. An outage of the broker is logged once and waited out. A handler that
    raises Retryable gets the same record again after a pause; any other exception is logged and the record
    passed over, since one bad record must not keep a process from the ones that follow.
    """

    def __init__(self, settings: KafkaSettings, topic: Topic | str, *, from_beginning: bool = True) -> None:
        self.caught_up = threading.Event()
        self._settings = settings
        self._topic = topic_name(topic)
        self._from_beginning = from_beginning
        self._outage = OutageLog(topic=self._topic)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, handler: Callable[[Record], None]) -> None:
        """Begin to follow. `caught_up` is set once all that was there at the start has been handled."""
        if self._thread is not None:
            raise RuntimeError("a Follower starts once; make another one")
        self._thread = threading.Thread(target=self._run, args=(handler,), name=f"follow-{self._topic}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def close(self, timeout_s: float = 10.0) -> None:
        """Stop after the record in hand."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self, handler: Callable[[Record], None]) -> None:
        with AssignedReader(self._settings, self._topic, self._outage) as reader:
            if not self._assigned(reader):
                return
            while not self._stopping.is_set():
                record = reader.next(0.2)
                if record is not None:
                    self._handle(record, handler)
                elif reader.at_end:
                    self.caught_up.set()

    def _assigned(self, reader: AssignedReader) -> bool:
        attempt = 0
        while not self._stopping.is_set():
            try:
                reader.assign_all(from_beginning=self._from_beginning, timeout_s=_METADATA_TIMEOUT_S)
            except (Retryable, UnknownTopic) as exc:
                attempt += 1
                if attempt == 1:
                    _LOG.warning("follower_waits", topic=self._topic, error=str(exc))
                self._stopping.wait(min(backoff.delay_s(attempt), 5.0))
            else:
                return True
        return False

    def _handle(self, record: Record, handler: Callable[[Record], None]) -> None:
        attempt = 0
        while not self._stopping.is_set():
            try:
                handler(record)
            except Retryable as exc:
                attempt += 1
                _LOG.warning("record_waits", attempt=attempt, error=str(exc), **_where(record))
                self._stopping.wait(backoff.delay_s(attempt, exc.retry_after_s))
            except Exception:
                _LOG.exception("record_passed_over", **_where(record))
                return
            else:
                return


def _where(record: Record) -> dict[str, object]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
