"""flywheel-client before a real ingest and a real broker."""

import asyncio
import time
import uuid

import pytest

from flywheel_client import (
    AsyncClient,
    Client,
    Feedback,
    FeedbackQueue,
    Invalid,
    NotFound,
    Retry,
    Unavailable,
    Unreachable,
)
from flywheel_schemas.topics import FEEDBACK_EVENTS
from kafka_runtime import tail
from kafka_runtime.settings import KafkaSettings
from tests.ingest_process import running

FEATURES = {"carrier": "UA", "distance": 1400.0}


@pytest.fixture(scope="module")
def ingest(stack, tmp_path_factory):
    env = {**stack.env, "LAKE_URI": f"s3://flywheel/test-{uuid.uuid4().hex}"}
    with running(env, tmp_path_factory.mktemp("ingest")) as service:
        yield service


@pytest.fixture
def client(ingest):
    with Client(ingest_url=str(ingest.client.base_url)) as made:
        yield made


def example(label: str = "late") -> Feedback:
    return Feedback.example("flights", FEATURES, label)


def test_what_is_accepted_can_be_looked_up(client):
    said = example()

    assert client.feedback(said).event_id == said.event_id
    assert client.status(said.event_id).status == "received"


def test_a_mistake_is_named_field_by_field(client):
    with pytest.raises(Invalid) as caught:
        client.feedback(Feedback.example("flights", {"carrier": "XX"}, "tardy"))

    assert {error.pointer for error in caught.value.errors} == {"/label", "/features/carrier"}


def test_what_is_nowhere_is_not_found(client):
    with pytest.raises(NotFound):
        client.status(str(uuid.uuid4()))


def test_a_batch_tells_of_each_even_where_none_fits(client):
    some = client.batch([example(), example("tardy")])
    none = client.batch([example("tardy")])

    assert (some.accepted, some.rejected, none.accepted, none.rejected) == (1, 1, 0, 1)
    assert some.items[1].problem is not None
    assert not some.items[1].problem.is_transient


def test_a_queue_that_is_closed_has_everything_in_kafka_once(client, stack):
    settings = KafkaSettings(bootstrap_servers=stack.kafka)
    before = tail.end_offsets(settings, FEEDBACK_EVENTS)
    said = [example() for _ in range(1200)]
    with FeedbackQueue(client, flush_count=500) as queue:
        for each in said:
            queue.put(each)
    found = [
        record.key.decode()
        for partition, offset in before.items()
        for record in tail.records_from(settings, FEEDBACK_EVENTS, partition, offset)
    ]
    ours = {each.event_id for each in said}
    assert sorted(key for key in found if key in ours) == sorted(ours)


async def test_the_asynchronous_client_does_the_same_at_once(ingest):
    async with AsyncClient(ingest_url=str(ingest.client.base_url)) as client:
        said = [example() for _ in range(20)]
        accepted = await asyncio.gather(*map(client.feedback, said))
        assert [each.event_id for each in accepted] == [each.event_id for each in said]
        assert (await client.batch(said)).accepted == 20
        assert (await client.status(said[0].event_id)).model == "flights"


def test_an_outage_is_waited_for_as_the_service_asks_and_then_told(fresh_env, tmp_path):
    env = {**fresh_env, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    said = example()
    with running(env, tmp_path, wait_for="/healthz") as away:
        client = Client(ingest_url=str(away.client.base_url), retry=Retry(attempts=2, first_s=0.01))
        begun = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            client.feedback(said)
    assert time.monotonic() - begun >= 1.0
    assert caught.value.retry_after_s == 1
    assert caught.value.event_id == said.event_id


def test_no_answer_is_an_error_of_its_own():
    client = Client(ingest_url="http://127.0.0.1:9", retry=Retry(attempts=2, first_s=0.01))
    with client, pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
        client.feedback(example())
