"""Topics of a test's own on a real broker, somebody who publishes to them, and something to publish."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient

from flywheel_schemas.events import ThresholdReached, TriggerReason
from flywheel_schemas.topics import Topic
from kafka_runtime import topics
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings

AWAY = KafkaSettings(bootstrap_servers="127.0.0.1:9")


@pytest.fixture
def settings(stack: Any) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=stack.kafka, partitions=6, partitions_control=3)


@pytest.fixture
def fresh(settings: KafkaSettings) -> Iterator[Callable[..., Topic]]:
    """Makes topics of this test's own, and removes them at the end."""
    made: list[Topic] = []

    def make(name: str = "t", **options: Any) -> Topic:
        topic = Topic(f"{name}-{uuid4()}", "key", "test", options.pop("cleanup", "delete"), **options)
        topics.ensure(settings, [topic])
        made.append(topic)
        return topic

    yield make
    admin = AdminClient(settings.librdkafka())
    for removed in admin.delete_topics([topic.name for topic in made]).values():
        removed.result()


@pytest.fixture
def publisher(settings: KafkaSettings) -> Iterator[Publisher]:
    publisher = Publisher(settings, source="a-test", linger_ms=0)
    yield publisher
    publisher.close()


def trigger(model: str = "flights") -> ThresholdReached:
    return ThresholdReached(
        trigger_id=uuid4(),
        model=model,
        reason=TriggerReason.COUNT,
        dataset_version=1,
        observed=2.0,
        threshold=2.0,
        occurred_at=datetime.now(UTC),
    )
