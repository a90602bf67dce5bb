"""The ingest service on a real broker and a real lake, whole and with parts of its world away."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import polars as pl
import pyarrow as pa
import pytest

from flywheel_local.stack import Stack
from flywheel_schemas.events import ModelUpdated
from flywheel_schemas.spec import parse_spec
from flywheel_schemas.topics import FEEDBACK_EVENTS, MODEL_UPDATED
from kafka_runtime import tail
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings
from lake import schema
from lake.append import append_once
from lake.lake import Lake
from lake.settings import LakeSettings
from lake.versions import METADATA_KEY
from tests.http import http
from tests.ingest_process import FLIGHTS, running
from tests.own_kafka import own_kafka
from tests.waiting import until

EXAMPLE = {"model": "flights", "kind": "example", "features": {"carrier": "UA", "distance": 1400}, "label": "late"}
NO_KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
NO_S3 = {"S3_ENDPOINT_URL": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def env(stack):
    return {**stack.env, "LAKE_URI": f"s3://flywheel/test-{uuid4().hex}"}


@pytest.fixture(scope="module")
def ingest(env, tmp_path_factory):
    with running(env, tmp_path_factory.mktemp("ingest")) as service:
        yield service


def test_every_one_of_many_acknowledged_events_is_in_the_topic_once(stack, ingest):
    settings = KafkaSettings(bootstrap_servers=stack.kafka)
    before = tail.end_offsets(settings, FEEDBACK_EVENTS)
    ids = [str(uuid4()) for _ in range(400)]

    def post(event_id: str) -> int:
        # A client that keeps connections may close one under another thread's request.
        url = f"http://127.0.0.1:{ingest.port}/v1/feedback"
        return http.post(url, json={**EXAMPLE, "event_id": event_id}, timeout=30).status_code

    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(post, ids)) == {202}
    found = [
        record.key.decode()
        for partition, offset in before.items()
        for record in tail.records_from(settings, FEEDBACK_EVENTS, partition, offset)
    ]
    assert sorted(found) == sorted(ids)


def test_a_large_batch_is_in_the_topic_when_it_is_answered(stack, ingest):
    settings = KafkaSettings(bootstrap_servers=stack.kafka)
    before = sum(tail.end_offsets(settings, FEEDBACK_EVENTS).values())
    answer = ingest.client.post("/v1/feedback/batch", json=[EXAMPLE] * 5000)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 5000)
    assert sum(tail.end_offsets(settings, FEEDBACK_EVENTS).values()) - before == 5000


def test_a_model_that_was_just_added_to_the_lake_is_known_at_once(env, ingest):
    spec = parse_spec(FLIGHTS.replace("name: flights", "name: planes"))
    assert ingest.client.post("/v1/feedback", json={**EXAMPLE, "model": "planes"}).status_code == 404
    Lake(LakeSettings.model_validate(env)).specs.put(spec)
    assert ingest.client.post("/v1/feedback", json={**EXAMPLE, "model": "planes"}).status_code == 202


def test_an_acknowledged_event_that_nobody_has_processed_is_received(ingest):
    event_id = ingest.client.post("/v1/feedback", json=EXAMPLE).json()["event_id"]
    told = ingest.client.get(f"/v1/feedback/{event_id}")
    assert told.status_code == 200, told.text
    assert (told.json()["status"], told.json()["model"]) == ("received", "flights")


def test_an_event_that_never_was_is_404(ingest):
    assert ingest.client.get(f"/v1/feedback/{uuid4()}").status_code == 404


def test_a_stored_event_names_the_versions_it_taught_and_whether_one_serves(stack, env, ingest, tmp_path):
    model = f"m{uuid4().hex[:12]}"
    lake = Lake(LakeSettings.model_validate(env))
    spec = parse_spec(FLIGHTS.replace("name: flights", f"name: {model}"))
    lake.specs.put(spec)
    event_id = str(uuid4())
    _store(lake, spec, event_id)
    _train(lake, model, "3", event_id, tmp_path)
    _promote(stack, model, "3")
    until(lambda: ingest.client.get(f"/v1/feedback/{event_id}").json().get("serving"), 60, "the champion")
    told = ingest.client.get(f"/v1/feedback/{event_id}").json()
    assert told["status"] == "stored"
    assert told["trained_into"] == ["3"]
    assert isinstance(told["dataset_version"], int)


def _store(lake: Lake, spec, event_id: str) -> None:
    columns = schema.feedback(spec)
    now = datetime.now(UTC)
    row = dict.fromkeys(columns.names) | {
        "event_id": event_id,
        "kind": "example",
        "source": "api",
        "label": "late",
        "carrier": "UA",
        "occurred_at": now,
        "received_at": now,
        "kafka_partition": 0,
        "kafka_offset": 0,
        "event_date": now.date(),
    }
    rows = pa.Table.from_pylist([row], schema=columns)
    table = lake.table(spec.name, "feedback")
    table.ensure(columns)
    flush = json.dumps({"partitions": {"0": {"first_offset": 0, "last_offset": 0}}})
    append_once(table, rows, "feedback-events/0", 0, {METADATA_KEY: flush})


def _train(lake: Lake, model: str, version: str, event_id: str, folder) -> None:
    file = folder / "set.parquet"
    pl.DataFrame({"event_id": [event_id, None]}).write_parquet(file)
    lake.objects.upload_if_absent(f"{model}/_flywheel/training_sets/abc.parquet", file)
    told = {"version": version, "training_set_hash": "abc", "dataset_versions": {}, "registered_at": "2026-11-24"}
    lake.objects.put_if_absent(f"{model}/_flywheel/versions/{version}.json", json.dumps(told).encode())


def _promote(stack, model: str, version: str) -> None:
    event = ModelUpdated.parse(
        json.dumps(
            {
                "model": model,
                "model_version": version,
                "action": "promoted",
                "traffic_percent": 100.0,
                "champion": version,
                "run_id": "r",
                "training_set_hash": "abc",
                "artifact_uri": "s3://x",
                "artifact_sha256": "0",
                "occurred_at": datetime.now(UTC).isoformat(),
            }
        ).encode()
    )
    Publisher(KafkaSettings(bootstrap_servers=stack.kafka), "/tests").publish(MODEL_UPDATED, model, event)


def test_without_kafka_the_service_starts_and_says_at_once_that_nothing_was_stored(fresh_env, tmp_path):
    env = {**fresh_env, **NO_KAFKA, "INGEST_DELIVERY_TIMEOUT": "600s"}  # longer than the client waits for an answer
    with running(env, tmp_path, wait_for="/healthz") as ingest:
        answer = ingest.client.post("/v1/feedback", json=EXAMPLE)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert "nothing was stored" in answer.json()["detail"]
        ready = ingest.client.get("/readyz")
        assert ready.status_code == 503
        assert "KAFKA_BOOTSTRAP_SERVERS" in ready.json()["checks"]["kafka"]
        # What a client must mend is still told, rather than hidden behind the outage.
        assert ingest.client.post("/v1/feedback", json={**EXAMPLE, "label": "tardy"}).status_code == 422


def test_without_the_lake_feedback_on_known_models_is_taken(fresh_env, tmp_path):
    with running({**fresh_env, **NO_S3}, tmp_path) as ingest:
        assert ingest.client.post("/v1/feedback", json=EXAMPLE).status_code == 202
        assert ingest.client.post("/v1/feedback", json={**EXAMPLE, "model": "planes"}).status_code == 404


def test_a_broker_that_is_killed_under_load_loses_nothing_that_was_acknowledged(stack, tmp_path):
    with own_kafka(stack, tmp_path / "stack") as broker:
        env = {**broker.env, "LAKE_URI": f"s3://flywheel/test-{uuid4().hex}", "INGEST_DELIVERY_TIMEOUT": "3s"}
        with running(env, tmp_path) as ingest:
            _outage(broker, ingest, KafkaSettings(bootstrap_servers=broker.env["KAFKA_BOOTSTRAP_SERVERS"]))


def _outage(broker: Stack, ingest, settings: KafkaSettings) -> None:
    acknowledged: list[str] = []
    answers: list[tuple[int, dict]] = []
    ended = threading.Event()

    def post() -> None:
        while not ended.is_set():
            answer = ingest.client.post("/v1/feedback", json=EXAMPLE)
            answers.append((answer.status_code, dict(answer.headers)))
            if answer.status_code == 202:
                acknowledged.append(answer.json()["event_id"])
            time.sleep(0.01)

    with ThreadPoolExecutor(8) as pool:
        posting = [pool.submit(post) for _ in range(8)]
        until(lambda: len(acknowledged) > 50, 30, "the first answers")
        broker.kill("kafka")
        until(lambda: any(status == 503 for status, _ in answers), 30, "a refusal")
        refused = ingest.client.post("/v1/feedback", json=EXAMPLE)
        broker.restart("kafka")
        seen = len(acknowledged)
        until(lambda: len(acknowledged) > seen + 50, 60, "answers after the outage")
        ended.set()
        for each in posting:
            each.result()
    assert {status for status, _ in answers} == {202, 503}
    assert all(headers.get("retry-after") for status, headers in answers if status == 503)
    assert refused.status_code == 503
    found = {
        record.key.decode()
        for partition in tail.end_offsets(settings, FEEDBACK_EVENTS)
        for record in tail.records_from(settings, FEEDBACK_EVENTS, partition, 0, 30)
    }
    assert set(acknowledged) <= found


def _raw(port: int, head: str, body: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    return connection


def test_an_endless_chunked_body_is_cut_off(ingest):
    head = "POST /v1/feedback HTTP/1.1\nhost: x\ncontent-type: application/json\ntransfer-encoding: chunked"
    connection = _raw(ingest.port, head)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent = 0
    with pytest.raises(OSError):
        while sent < 256 * 1024 * 1024:
            connection.sendall(chunk)
            sent += 65536
    assert sent < 64 * 1024 * 1024
    assert ingest.client.get("/healthz").status_code == 200


def test_a_client_that_asks_first_is_refused_before_it_sends(ingest):
    head = (
        "POST /v1/feedback HTTP/1.1\nhost: x\ncontent-type: application/json\n"
        "content-length: 10000000\nexpect: 100-continue"
    )
    with _raw(ingest.port, head) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")


def test_a_client_that_goes_away_in_the_middle_disturbs_nobody(ingest):
    head = "POST /v1/feedback HTTP/1.1\nhost: x\ncontent-type: application/json\ncontent-length: 100"
    _raw(ingest.port, head, b'{"kind"').close()
    assert ingest.client.post("/v1/feedback", json=EXAMPLE).status_code == 202
    assert "Traceback" not in ingest.log.read_text()


def test_a_second_service_on_the_port_is_told_which_variable_to_set(ingest, fresh_env, tmp_path):
    with (
        pytest.raises(AssertionError, match="set INGEST_PORT to a free port"),
        running(fresh_env, tmp_path, INGEST_PORT=str(ingest.port)),
    ):
        pass


def test_it_ends_in_order_on_sigterm(fresh_env, tmp_path):
    with running(fresh_env, tmp_path) as ingest:
        assert ingest.client.post("/v1/feedback", json=EXAMPLE).status_code == 202
    assert ingest.process.returncode in (0, -15)
    assert "Traceback" not in ingest.log.read_text()
