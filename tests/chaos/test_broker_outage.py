"""What kafka_runtime promises for an outage of the broker: one that is killed under all its clients, and comes back."""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from flywheel_local.stack import Stack
from flywheel_schemas.topics import Topic
from kafka_runtime import tail, topics
from kafka_runtime.batches import BatchPublisher
from kafka_runtime.errors import BrokerUnavailable, KafkaRuntimeError
from kafka_runtime.follower import Follower
from kafka_runtime.publisher import Publisher
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings
from kafka_runtime.worker import GroupWorker
from tests.own_kafka import own_kafka
from tests.waiting import until

pytestmark = pytest.mark.chaos
_OUTAGE_S = 3.0


@pytest.fixture(scope="module")
def broker(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Kafka of our own; S3 and MLflow are the session's."""
    with own_kafka(stack, tmp_path_factory.mktemp("outage")) as owned:
        yield owned


@dataclass
class Seen:
    """What the clients saw of one outage."""

    settings: KafkaSettings
    topic: Topic
    group: str
    follower: Follower
    late_follower: Follower
    worker: GroupWorker
    followed: list[bytes | None] = field(default_factory=list)
    followed_late: list[bytes | None] = field(default_factory=list)
    handled: list[bytes | None] = field(default_factory=list)
    refusal: BrokerUnavailable | None = None
    batched: list[bytes | None] = field(default_factory=list)
    batch_refusals: dict[int, KafkaRuntimeError] = field(default_factory=dict)


@pytest.fixture(scope="module")
def seen(broker: Stack) -> Iterator[Seen]:
    """Publishers, a follower and a worker in the midst of a record live through an outage; a follower starts in it."""
    settings = KafkaSettings(bootstrap_servers=broker.env["KAFKA_BOOTSTRAP_SERVERS"])
    topic, group = Topic(f"t-{uuid4()}", "key", "test", "delete"), f"g-{uuid4()}"
    topics.ensure(settings, [topic])
    publisher = Publisher(settings, source="a-test", linger_ms=0, delivery_timeout_s=2.0)
    batched = Topic(f"t-{uuid4()}", "key", "test", "delete")
    topics.ensure(settings, [batched])
    batches = BatchPublisher(settings, batched, delivery_timeout_s=2.0)
    begun, release = threading.Event(), threading.Event()

    def handler(record: Record) -> None:
        begun.set()
        release.wait(60)
        told.handled.append(record.value)

    worker = GroupWorker(settings, group, topic, handler, session_timeout_s=6.0)
    told = Seen(settings, topic, group, Follower(settings, topic), Follower(settings, topic), worker)
    told.follower.start(lambda record: told.followed.append(record.value))
    worker.start()
    publisher.send_and_wait(topic, b"k", b"before", [], 0)
    assert begun.wait(60)
    until(lambda: told.followed == [b"before"], 30, "the first record")

    with asyncio.Runner() as runner:

        def batch(text: bytes) -> dict[int, KafkaRuntimeError]:
            return runner.run(batches.publish_all([(b"k", text, []) for _ in range(3)]))

        assert batch(b"batch before") == {}
        broker.kill("kafka")
        _meanwhile(publisher, told, release)
        told.batch_refusals = batch(b"batch meanwhile")
        time.sleep(_OUTAGE_S)
        broker.restart("kafka")
        until(lambda: batch(b"batch after") == {}, 60, "a batch's acknowledgement after the outage")
        runner.run(batches.close(10))
    for partition in tail.end_offsets(settings, batched):
        told.batched += [record.value for record in tail.last(settings, batched, partition, 30)]
    until(lambda: _sent(publisher, topic), 60, "an acknowledgement after the outage")
    yield told
    for client in (told.follower, told.late_follower, worker):
        client.close()


def _meanwhile(publisher: Publisher, told: Seen, release: threading.Event) -> None:
    told.late_follower.start(lambda record: told.followed_late.append(record.value))
    try:
        publisher.send_and_wait(told.topic, b"k", b"meanwhile", [], 0)
    except BrokerUnavailable as exc:
        told.refusal = exc
    release.set()
    until(lambda: told.handled[:1] == [b"before"], 60, "the handler, which needs no broker")


def _sent(publisher: Publisher, topic: Topic) -> bool:
    publisher.send_and_wait(topic, b"k", b"after", [], 0)
    return True


def test_a_publisher_says_while_the_broker_is_away_that_nothing_was_acknowledged(seen: Seen) -> None:
    assert seen.refusal is not None
    assert seen.refusal.retry_after_s


def test_a_publisher_works_again_afterwards(seen: Seen) -> None:
    values = [record.value for record in tail.last(seen.settings, seen.topic, 0, 9)]
    assert (values[0], values[-1]) == (b"before", b"after")


def test_of_a_batch_every_record_is_told_apart_and_the_next_goes_through_afterwards(seen: Seen) -> None:
    refused = {place: type(why) for place, why in seen.batch_refusals.items()}
    assert refused == dict.fromkeys(range(3), BrokerUnavailable)
    assert seen.batched[:3] == [b"batch before"] * 3
    assert seen.batched[-3:] == [b"batch after"] * 3


def test_a_follower_outlives_the_outage_and_misses_nothing(seen: Seen) -> None:
    until(lambda: b"after" in seen.followed, 60, "the record after the outage")
    assert seen.followed[0] == b"before"


def test_a_follower_started_in_the_outage_catches_up_when_it_ends(seen: Seen) -> None:
    assert seen.late_follower.caught_up.wait(60)
    until(lambda: b"after" in seen.followed_late, 60, "the record after the outage")
    assert seen.followed_late[0] == b"before"


def test_a_worker_settles_and_commits_every_record(seen: Seen) -> None:
    until(lambda: b"after" in seen.handled, 90, "the record after the outage")
    ends = tail.end_offsets(seen.settings, seen.topic)
    until(
        lambda: tail.committed_offsets(seen.settings, seen.group, seen.topic).get(0) == ends[0],
        60,
        "the worker's commit",
    )
    assert seen.worker.alive
