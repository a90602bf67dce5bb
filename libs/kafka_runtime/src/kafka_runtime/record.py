"""One record of a topic, as this package hands it out."""

from dataclasses import dataclass, field
from typing import Any

from flywheel_schemas.topics import Topic

Headers = list[tuple[str, bytes]]
Outgoing = tuple[bytes, bytes, Headers]  # key, value and headers of a record that is to be published


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it lies in Kafka. `value` None is a tombstone; `timestamp_ms` is -1 where the broker gave none."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    headers: Headers = field(default_factory=list)
    timestamp_ms: int = -1


def from_message(message: Any) -> Record:
    """The Record in a confluent-kafka message that carries no error. A missing key reads as b""."""
    return Record(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        key=message.key() or b"",
        value=message.value(),
        headers=[(name, value or b"") for name, value in message.headers() or ()],
        timestamp_ms=message.timestamp()[1],
    )


def topic_name(topic: Topic | str) -> str:
    """The name Kafka knows the topic by."""
    return topic if isinstance(topic, str) else topic.name
