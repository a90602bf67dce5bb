"""What is made of what the broker says of its topics."""

from typing import Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import ClusterMetadata, PartitionMetadata, TopicMetadata

from kafka_runtime import topics
from kafka_runtime.errors import BrokerUnavailable, UnknownTopic
from kafka_runtime.settings import KafkaSettings


def topic(leaders: list[int], error: int | None = None) -> TopicMetadata:
    found = TopicMetadata()
    found.error = None if error is None else KafkaError(error)
    found.partitions = {}
    for number, leader in enumerate(leaders):
        found.partitions[number] = PartitionMetadata()
        found.partitions[number].leader = leader
    return found


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> dict[str, TopicMetadata]:
    """What the broker tells, by topic."""
    told = ClusterMetadata()
    told.topics = {}

    class Admin:
        def __init__(self, _: Any) -> None:
            """Connects to nothing."""

        def list_topics(self, timeout: float) -> ClusterMetadata:
            return told

    monkeypatch.setattr(topics, "AdminClient", Admin)
    return told.topics


def test_a_topic_keeps_its_partitions_while_one_of_them_has_no_leader(broker: dict[str, TopicMetadata]) -> None:
    broker["letters"] = topic([1, -1, 1])
    assert topics.partition_count(KafkaSettings(), "letters") == 3


@pytest.mark.parametrize("error", [KafkaError.LEADER_NOT_AVAILABLE, KafkaError.BROKER_NOT_AVAILABLE])
def test_a_broker_in_trouble_is_waited_for(broker: dict[str, TopicMetadata], error: int) -> None:
    broker["letters"] = topic([], error)
    with pytest.raises(BrokerUnavailable, match="letters"):
        topics.partition_count(KafkaSettings(), "letters")


def test_a_topic_that_is_not_there_is_no_trouble_that_passes(broker: dict[str, TopicMetadata]) -> None:
    broker["gone"] = topic([], KafkaError.UNKNOWN_TOPIC_OR_PART)
    for name in ("gone", "never-made"):
        with pytest.raises(UnknownTopic, match=name):
            topics.partition_count(KafkaSettings(), name)
