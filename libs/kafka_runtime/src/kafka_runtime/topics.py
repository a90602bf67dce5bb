"""The topics as Kafka has them: creating what is missing, checking what must never change."""

import time
from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from flywheel_schemas.topics import ALL_TOPICS, Topic
from kafka_runtime.errors import BrokerUnavailable, KafkaRuntimeError, PartitionCountChanged, UnknownTopic
from kafka_runtime.settings import KafkaSettings

_BROKER_DEFAULT = -1
_RETRY_AFTER_S = 2.0


def ensure(settings: KafkaSettings, topics: Iterable[Topic] = ALL_TOPICS, *, timeout_s: float = 30.0) -> None:
    """Create those of `topics` that are missing, and return when all have leaders. Idempotent, safe in a race.

    Raises PartitionCountChanged when a high-volume topic has another count than KAFKA_PARTITIONS,
    and BrokerUnavailable when Kafka does not answer in time.
    """
    admin = AdminClient(settings.librdkafka())
    wanted = {topic.name: topic for topic in topics}
    found = _partition_counts(admin, timeout_s)
    if missing := [topic for name, topic in wanted.items() if name not in found]:
        _create(admin, settings, missing, timeout_s)
        found = _once_visible(admin, set(wanted), timeout_s)
    for name, topic in wanted.items():
        if topic.high_volume and found[name] != settings.partitions:
            raise PartitionCountChanged(name, found[name], settings.partitions)


def partition_count(settings: KafkaSettings, topic: str, timeout_s: float = 10.0) -> int:
    """How many partitions the topic has. Raises UnknownTopic or BrokerUnavailable."""
    found = _partition_counts(AdminClient(settings.librdkafka()), timeout_s)
    if topic not in found:
        raise UnknownTopic(topic)
    return found[topic]


def _create(admin: AdminClient, settings: KafkaSettings, missing: list[Topic], timeout_s: float) -> None:
    new = [
        NewTopic(
            topic.name,
            num_partitions=settings.partitions if topic.high_volume else settings.partitions_control,
            replication_factor=_BROKER_DEFAULT,
            config=topic.config,
        )
        for topic in missing
    ]
    for name, created in admin.create_topics(new, operation_timeout=timeout_s, request_timeout=timeout_s).items():
        try:
            created.result()
        except KafkaException as exc:
            error: KafkaError = exc.args[0]
            # Another service was faster.
            if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue
            if error.retriable() or error.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT):
                raise BrokerUnavailable(name, _RETRY_AFTER_S, error.str()) from exc
            raise KafkaRuntimeError(f"topic {name} cannot be created: {error.str()}") from exc


def _once_visible(admin: AdminClient, names: set[str], timeout_s: float) -> dict[str, int]:
    """The partition counts as soon as they hold `names`; a created topic takes moments to be known everywhere."""
    deadline = time.monotonic() + timeout_s
    while not names <= (found := _partition_counts(admin, timeout_s)).keys():
        if time.monotonic() > deadline:
            raise BrokerUnavailable(min(names - found.keys()), _RETRY_AFTER_S, "the created topic does not appear")
        time.sleep(0.05)
    return found


def _partition_counts(admin: AdminClient, timeout_s: float) -> dict[str, int]:
    try:
        metadata = admin.list_topics(timeout=timeout_s)
    except KafkaException as exc:
        raise BrokerUnavailable("(any)", _RETRY_AFTER_S, exc.args[0].str()) from exc
    return {
        name: len(topic.partitions)
        for name, topic in metadata.topics.items()
        if topic.error is None and all(partition.leader >= 0 for partition in topic.partitions.values())
    }
