"""What ingest puts into feedback-events is feedback v1, as every consumer reads it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import jsonschema
import pytest

from flywheel_schemas.events import Feedback
from flywheel_schemas.tokens import FeedbackToken
from flywheel_schemas.topics import FEEDBACK_EVENTS
from kafka_runtime import tail
from kafka_runtime.partitioner import partition_for
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings
from tests.ingest_process import Ingest, running

PUBLISHED = json.loads(
    (Path(__file__).parents[2] / "schemas" / "published" / "feedback" / "v1.json").read_text(encoding="utf-8")
)
PREDICTION_ID = str(uuid4())
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FEATURES = {"carrier": "UA", "distance": 1400}
SENT = {
    "correction": {"kind": "correction", "label": "on_time", "user_id": "alice", "comment": "Größe 😀"},
    "confirmation": {"kind": "confirmation"},
    "rating": {"kind": "rating", "rating": 4},
    "example": {"model": "flights", "kind": "example", "features": FEATURES, "label": "late"},
    "odd but valid": {
        "model": "flights",
        "kind": "example",
        "features": FEATURES,
        "label": "late",
        "occurred_at": "2013-03-01 12:00:00.1234567+02:00",
        "rating": None,
    },
}


@pytest.fixture(scope="module")
def ingest(stack, tmp_path_factory):
    env = {**stack.env, "LAKE_URI": f"s3://flywheel/test-{uuid4().hex}"}
    with running(env, tmp_path_factory.mktemp("ingest")) as service:
        yield service


@pytest.fixture(scope="module")
def settings(stack):
    return KafkaSettings(bootstrap_servers=stack.kafka)


def record_of(settings: KafkaSettings, event_id: str) -> Record:
    partition = partition_for(event_id.encode(), settings.partitions)
    latest = tail.last(settings, FEEDBACK_EVENTS, partition, 200)
    return next(record for record in latest if record.key == event_id.encode())


def token(ingest: Ingest) -> str:
    told = FeedbackToken(PREDICTION_ID, "flights", "3", "champion", "late", True, int(datetime.now(UTC).timestamp()))
    return ingest.tokens.sign(told)


def post(ingest: Ingest, event: dict, how: str) -> str:
    """Posts the event alone or in a batch; gives its id."""
    trace = {"traceparent": TRACE}
    if how == "single":
        answer = ingest.client.post("/v1/feedback", json=event, headers=trace)
        assert answer.status_code == 202, answer.text
        return answer.json()["event_id"]
    answer = ingest.client.post("/v1/feedback/batch", json=[event], headers=trace)
    assert answer.status_code == 202, answer.text
    return answer.json()["items"][0]["event_id"]


@pytest.mark.parametrize("how", ["single", "batch"])
@pytest.mark.parametrize("kind", SENT)
def test_what_is_acknowledged_lies_in_the_topic_as_feedback_v1(ingest, settings, kind, how):
    sent = SENT[kind]
    event = sent if "model" in sent else {**sent, "feedback_token": token(ingest)}
    event_id = post(ingest, event, how)
    record = record_of(settings, event_id)
    value = json.loads(record.value)
    jsonschema.validate(value, PUBLISHED, format_checker=jsonschema.FormatChecker())
    feedback = Feedback.parse(record.value)
    assert feedback.event_id == UUID(event_id)
    assert feedback.model == "flights"
    assert "user_id" not in value
    assert "feedback_token" not in value
    if "model" not in sent:
        assert (feedback.model_version, feedback.predicted, feedback.audited) == ("3", "late", True)
        assert str(feedback.prediction_id) == PREDICTION_ID


def test_the_record_is_a_cloud_event_in_binary_mode_that_continues_the_callers_trace(ingest, settings):
    event_id = post(ingest, SENT["example"], "single")
    record = record_of(settings, event_id)
    headers = dict(record.headers)
    assert headers["ce_id"] == event_id.encode()
    assert headers["ce_type"] == b"dev.flywheel.feedback.v1"
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_source"] == b"/flywheel/ingest"
    assert headers["content-type"] == b"application/json"
    assert headers["ce_time"].decode() == json.loads(record.value)["received_at"]
    assert headers["traceparent"].startswith(b"00-0af7651916cd43dd8448eb211c80319c-")


def test_two_events_of_one_id_lie_in_one_partition_in_their_order(ingest, settings):
    event_id = str(uuid4())
    for label in ("late", "on_time"):
        post(ingest, {**SENT["example"], "event_id": event_id, "label": label}, "single")
    partition = partition_for(event_id.encode(), settings.partitions)
    found = [r for r in tail.last(settings, FEEDBACK_EVENTS, partition, 200) if r.key == event_id.encode()]
    assert [Feedback.parse(record.value).label for record in found] == ["late", "on_time"]
