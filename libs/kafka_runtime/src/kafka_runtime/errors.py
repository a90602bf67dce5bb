"""What can go wrong with Kafka, and with a record of it.

KafkaRuntimeError
├── Retryable                the same again may work: wait, then retry
│   └── BrokerUnavailable    nothing acknowledged it; carries `retry_after_s`
├── Poison                   this record will never work: dead letter
├── RecordRefused            the broker will never take this record: too large, not allowed
├── UnknownTopic             no such topic
└── PartitionCountChanged    a topic's keys have moved: stop
"""


class KafkaRuntimeError(Exception):
    """The root: everything that this package raises on purpose."""


class Retryable(KafkaRuntimeError):
    """Doing the same again may work. `retry_after_s` is how long to wait; None leaves it to the caller."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BrokerUnavailable(Retryable):
    """Kafka did not acknowledge within the time allowed; the record may or may not have been stored."""

    def __init__(self, topic: str, retry_after_s: float, detail: str = "no acknowledgement in time") -> None:
        super().__init__(
            f"Kafka is unavailable for topic {topic} ({detail}); retry in {retry_after_s:g} s, "
            "and check that KAFKA_BOOTSTRAP_SERVERS names a running broker",
            retry_after_s,
        )
        self.topic = topic


class Poison(KafkaRuntimeError):
    """A record that no retry will mend. `reason` is one word or a few, for the header dlq_reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RecordRefused(KafkaRuntimeError):
    """The broker, or the client before it, will never take this record."""

    def __init__(self, topic: str, detail: str) -> None:
        super().__init__(f"Kafka refuses the record for topic {topic}: {detail}; it was not stored")
        self.topic = topic


class UnknownTopic(KafkaRuntimeError):
    """There is no such topic."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"there is no topic {topic}; the services create theirs when they start")
        self.topic = topic


class PartitionCountChanged(KafkaRuntimeError):
    """A high-volume topic has another partition count than configured, so keys would change their partition."""

    def __init__(self, topic: str, found: int, configured: int) -> None:
        super().__init__(
            f"topic {topic} has {found} partitions, but KAFKA_PARTITIONS is {configured}. The count is fixed for the "
            f"life of a topic: set KAFKA_PARTITIONS={found}, or start over with new topics and an empty lake"
        )
        self.topic = topic
