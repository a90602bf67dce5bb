"""The topics as Kafka has them: creating what is missing, checking what must never change."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata, NewTopic, TopicMetadata

from flywheel_schemas.topics import ALL_TOPICS, Topic
from kafka_runtime.errors import BrokerUnavailable, KafkaRuntimeError, PartitionCountChanged, UnknownTopic
from kafka_runtime.settings import KafkaSettings

NO_SUCH = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})
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
    """How many partitions the topic has, with leaders or for the moment without.

    Raises UnknownTopic or BrokerUnavailable.
    """
    found = _metadata(AdminClient(settings.librdkafka()), timeout_s).topics.get(topic)
    return len(known_partitions(topic, found))


def known_partitions(topic: str, found: TopicMetadata | None) -> Mapping[int, Any]:
    """The topic's partitions by what the broker says of it.

    Raises UnknownTopic where there is none, and BrokerUnavailable where a broker is about to elect leaders or such.
    """
    if found is None or (found.error is None and not found.partitions):
        raise UnknownTopic(topic)
    if found.error is None:
        return dict(found.partitions)
    if found.error.code() in NO_SUCH:
        raise UnknownTopic(topic)
    raise BrokerUnavailable(topic, _RETRY_AFTER_S, found.error.str())


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


def _metadata(admin: AdminClient, timeout_s: float) -> ClusterMetadata:
    try:
        return admin.list_topics(timeout=timeout_s)
    except KafkaException as exc:
        raise BrokerUnavailable("(any)", _RETRY_AFTER_S, exc.args[0].str()) from exc


def _partition_counts(admin: AdminClient, timeout_s: float) -> dict[str, int]:
    """Of topics whose partitions all have a leader: others are not ready for use."""
    return {
        name: len(topic.partitions)
        for name, topic in _metadata(admin, timeout_s).topics.items()
        if topic.error is None and all(partition.leader >= 0 for partition in topic.partitions.values())
    }
