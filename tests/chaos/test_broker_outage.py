"""What kafka_runtime promises for an outage of the broker, with a broker that is killed and comes back."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from flywheel_local.stack import Stack
from flywheel_schemas.topics import Topic
from kafka_runtime import tail, topics
from kafka_runtime.errors import BrokerUnavailable
from kafka_runtime.follower import Follower
from kafka_runtime.publisher import Publisher
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings
from kafka_runtime.worker import GroupWorker

from tests.chaos.waiting import until

pytestmark = pytest.mark.chaos


@pytest.fixture(scope="module")
def broker(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Kafka of our own; S3 and MLflow are the session's."""
    given = {name: stack.env[name] for name in ("S3_ENDPOINT_URL", "MLFLOW_TRACKING_URI")}
    given |= {name: value for name, value in stack.env.items() if name.startswith("AWS_")}
    owned = Stack(tmp_path_factory.mktemp("outage"), given=given)
    owned.stop_with_parent()
    try:
        owned.start_servers()
        yield owned
    finally:
        owned.stop()


@pytest.fixture
def settings(broker: Stack) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=broker.env["KAFKA_BOOTSTRAP_SERVERS"])


@pytest.fixture
def topic(settings: KafkaSettings) -> Topic:
    topic = Topic(f"t-{uuid4()}", "key", "test", "delete")
    topics.ensure(settings, [topic])
    return topic


def sender(settings: KafkaSettings, topic: Topic) -> Callable[[bytes], None]:
    publisher = Publisher(settings, source="a-test", linger_ms=0, delivery_timeout_s=3.0)

    def send(value: bytes) -> None:
        until(lambda: _sent(publisher, topic, value), 60, "an acknowledgement")

    return send


def _sent(publisher: Publisher, topic: Topic, value: bytes) -> bool:
    publisher.send_and_wait(topic, b"k", value, [], 0)
    return True


def test_a_publisher_says_so_in_time_and_works_again_afterwards(
    broker: Stack, settings: KafkaSettings, topic: Topic
) -> None:
    publisher = Publisher(settings, source="a-test", linger_ms=0, delivery_timeout_s=2.0)
    publisher.send_and_wait(topic, b"k", b"before", [], 0)
    broker.kill("kafka")
    begun = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        publisher.send_and_wait(topic, b"k", b"meanwhile", [], 0)
    assert time.monotonic() - begun < 6.0
    broker.restart("kafka")
    until(lambda: _sent(publisher, topic, b"after"), 60, "an acknowledgement")
    values = [record.value for record in tail.last(settings, topic, 0, 9)]
    assert (values[0], values[-1]) == (b"before", b"after")


def test_a_follower_outlives_an_outage_and_misses_nothing(
    broker: Stack, settings: KafkaSettings, topic: Topic, capfd: pytest.CaptureFixture[str]
) -> None:
    send, seen = sender(settings, topic), list[bytes | None]()
    follower = Follower(settings, topic)
    follower.start(lambda record: seen.append(record.value))
    send(b"before")
    until(lambda: seen == [b"before"], 30, "the first record")
    capfd.readouterr()
    broker.kill("kafka")
    time.sleep(3.0)
    told = capfd.readouterr().err
    broker.restart("kafka")
    send(b"after")
    until(lambda: bool(seen) and seen[-1] == b"after", 60, "the record after the outage")
    follower.close()
    assert seen[0] == b"before"
    assert told.count("kafka_unreachable") == 1, told


def test_a_follower_started_in_an_outage_catches_up_when_it_ends(
    broker: Stack, settings: KafkaSettings, topic: Topic
) -> None:
    sender(settings, topic)(b"there")
    broker.kill("kafka")
    seen: list[bytes | None] = []
    follower = Follower(settings, topic)
    follower.start(lambda record: seen.append(record.value))
    assert not follower.caught_up.wait(2.0)
    broker.restart("kafka")
    assert follower.caught_up.wait(60)
    follower.close()
    assert seen == [b"there"]


def test_a_worker_whose_broker_dies_in_the_handler_settles_every_record(
    broker: Stack, settings: KafkaSettings, topic: Topic
) -> None:
    send, group = sender(settings, topic), f"g-{uuid4()}"
    begun, release, handled = threading.Event(), threading.Event(), list[bytes | None]()

    def handler(record: Record) -> None:
        begun.set()
        release.wait(60)
        handled.append(record.value)

    worker = GroupWorker(settings, group, topic, handler, session_timeout_s=6.0)
    worker.start()
    send(b"before")
    assert begun.wait(60)
    broker.kill("kafka")
    release.set()
    until(lambda: handled == [b"before"], 10, "the handler")
    broker.restart("kafka")
    send(b"after")
    until(lambda: bool(handled) and handled[-1] == b"after", 90, "the record after the outage")
    ends = tail.end_offsets(settings, topic)
    until(lambda: tail.committed_offsets(settings, group, topic).get(0) == ends[0], 60, "the commit")
    assert worker.alive
    worker.close()
