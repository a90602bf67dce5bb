"""The processor as a process, on real Kafka and S3: cut off from them, asked for triggers, stopped."""

import json
import signal
import socket
import time
import uuid
from collections import Counter

from flywheel_schemas.topics import (
    PREDICTIONS,
    THRESHOLD_REACHED,
)
from lake import read, versions
from lake.triggers import TriggerLog, trigger_id
from tests.integration.processor_bench import NOW, Bench, get, readiness, ready
from tests.relay import Relay
from tests.waiting import until


def test_while_s3_is_away_it_waits_and_says_so(bench):
    s3 = Relay(bench.env["S3_ENDPOINT_URL"].removeprefix("http://"))
    worker = bench.start(S3_ENDPOINT_URL=f"http://{s3.address}")
    bench.send(50)
    until(lambda: sum(bench.ids("feedback").values()) >= 50)
    s3.close()
    bench.send(200)
    until(lambda: "S3_ENDPOINT_URL" in str(readiness(worker)))
    assert worker.poll() is None
    until(lambda: get(worker, "/healthz")[0] == 200)
    s3.shut = False
    bench.reconcile()
    until(lambda: ready(worker))


def test_an_outage_without_end_stops_the_process_loudly(bench):
    s3 = Relay(bench.env["S3_ENDPOINT_URL"].removeprefix("http://"))
    worker = bench.start(S3_ENDPOINT_URL=f"http://{s3.address}", PROCESSOR_GIVE_UP_S="1")
    bench.send(20)
    until(lambda: sum(bench.ids("feedback").values()) >= 20)
    s3.close()
    bench.send(20)
    assert worker.wait(90) == 1
    assert "stopping_after_failure" in (bench.home / "worker-0.log").read_text()


def test_a_crossing_fires_once_and_is_announced_again_after_a_restart(bench):
    worker = bench.start()
    bench.send(120)
    until(lambda: bench.announced(THRESHOLD_REACHED))
    worker.kill()
    worker.wait()
    fired = TriggerLog(bench.lake, bench.model).all()
    assert [str(trigger.trigger_id) for trigger in fired] == [str(trigger_id(bench.model, 0))]
    assert fired[0].observed >= 100
    bench.start()
    until(lambda: len(bench.announced(THRESHOLD_REACHED)) >= 2)
    assert {event["trigger_id"] for event in bench.announced(THRESHOLD_REACHED)} == {str(trigger_id(bench.model, 0))}
    bench.send(120)
    until(lambda: len(TriggerLog(bench.lake, bench.model).all()) == 2)


def test_a_quiet_stream_reaches_the_lake_soon(bench):
    bench.start(PROCESSOR_FLUSH_AGE_S="0.75")
    bench.send(5)
    until(lambda: sum(bench.ids("feedback").values()) >= 5)
    waits = []
    for _ in range(3):
        bench.send(1)
        began = time.monotonic()
        until(lambda: len(bench.ids("feedback")) >= len(bench.sent))
        waits.append(time.monotonic() - began)
    assert min(waits) < 2.0


def test_records_that_a_producer_compressed_are_read_whatever_the_codec(bench):
    bench.start()
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        bench.producer = bench.new_producer(codec)
        bench.send(20)
    bench.reconcile()


def test_a_model_that_is_added_while_it_runs_is_picked_up(bench):
    bench.start()
    bench.send(5)
    until(lambda: sum(bench.ids("feedback").values()) >= 5)
    other = Bench(bench.env, bench.home)
    other.group = bench.group
    other.send(20)
    until(lambda: len(other.ids("feedback")) == 20)


def test_predictions_are_stored_once(bench):
    bench.start()
    sent = [str(uuid.uuid4()) for _ in range(50)]
    for prediction_id in [*sent, *sent[:5]]:
        event = {
            "prediction_id": prediction_id, "model": bench.model, "model_version": "1", "variant": "champion",
            "features": {"distance": 3}, "label": "late", "scores": {"on_time": 0.2, "late": 0.8}, "audited": True,
            "occurred_at": NOW, "latency_ms": 0.5,
        }  # fmt: skip
        bench.producer.produce(PREDICTIONS.name, key=prediction_id, value=json.dumps(event).encode())
    bench.producer.flush(30)
    table = bench.lake.table(bench.model, "predictions")
    until(lambda: table.exists() and versions.row_count(table) >= 50)
    found = read.collect(read.scan(table), table.uri)
    assert Counter(found["prediction_id"].to_list()) == Counter(sent)
    assert set(found["score"].to_list()) == {0.8}


def test_a_signal_stops_it_in_good_order(bench):
    worker = bench.start()
    until(lambda: ready(worker))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_wrong_settings_and_a_taken_port_are_named(bench):
    wrong = bench.start(PROCESSOR_FLUSH_ROWS="many")
    assert wrong.wait(60) == 2
    assert "PROCESSOR_FLUSH_ROWS" in (bench.home / "worker-0.log").read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        worker = bench.start(PROCESSOR_PORT=str(taken.getsockname()[1]))
        assert worker.wait(60) == 2
    assert "set PROCESSOR_PORT" in (bench.home / "worker-1.log").read_text()
