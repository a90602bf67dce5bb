"""The processor as a process, on real Kafka and S3: killed, stopped, doubled, cut off. Nothing is lost or doubled."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from flywheel_schemas.spec import ModelSpec, parse_spec
from flywheel_schemas.topics import (
    ALL_TOPICS,
    DATASET_COMMITTED,
    FEEDBACK_DEAD_LETTER,
    FEEDBACK_EVENTS,
    PREDICTIONS,
    THRESHOLD_REACHED,
)
from kafka_runtime import dead_letter, tail
from kafka_runtime.settings import KafkaSettings
from lake import Lake, LakeSettings, read, versions
from lake.triggers import TriggerLog, trigger_id
from tests.waiting import until

# Ids are remembered for days by the server's clock, so events must be as young as they would be.
NOW = datetime.now(UTC).isoformat().replace("+00:00", "Z")


def spec_of(model: str, feedback_count: int) -> ModelSpec:
    return parse_spec(f"""
name: {model}
task: binary
label: {{name: late, values: [on_time, late], positive: late}}
features:
  - {{name: distance, type: number, range: [0, 6000], required: true}}
retrain: {{feedback_count: {feedback_count}}}
""")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@dataclass
class Bench:
    """One model on a lake of its own, one consumer group that begins at the topics' present ends."""

    env: dict[str, str]
    home: Path
    model: str = field(default_factory=lambda: f"m{uuid.uuid4().hex[:10]}")
    sent: list[dict[str, Any]] = field(default_factory=list)
    duplicates: int = 0
    misfits: list[str] = field(default_factory=list)
    poison: int = 0
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lake = Lake(LakeSettings(**{k: v for k, v in self.env.items() if k.startswith(("LAKE_", "S3_", "AWS_"))}))
        self.kafka = KafkaSettings(bootstrap_servers=self.env["KAFKA_BOOTSTRAP_SERVERS"])
        self.lake.specs.put(spec_of(self.model, 100))
        self.group = f"reader-{self.model}"
        self.ends = {topic: tail.end_offsets(self.kafka, topic) for topic in ALL_TOPICS}
        consumer = Consumer(self.kafka.librdkafka() | {"group.id": self.group})
        topics = (FEEDBACK_EVENTS, PREDICTIONS)
        begin = [TopicPartition(topic.name, p, offset) for topic in topics for p, offset in self.ends[topic].items()]
        consumer.commit(offsets=begin, asynchronous=False)
        consumer.close()
        self.producer = Producer(self.kafka.librdkafka() | {"partitioner": "murmur2_random", "linger.ms": 5})

    def send(self, count: int) -> None:
        """Events of every fate: new, repeated at a distance, misfits, poison; acknowledged when this returns."""
        for _ in range(count):
            event = {
                "event_id": str(uuid.uuid4()), "model": self.model, "kind": "example", "source": "t", "label": "late",
                "features": {"distance": random.uniform(0, 6000)}, "occurred_at": NOW, "received_at": NOW,
            }  # fmt: skip
            self.sent.append(event)
            self._produce(event["event_id"], json.dumps(event).encode())
            if random.random() < 0.1:
                again = random.choice(self.sent)
                self._produce(again["event_id"], json.dumps(again).encode())
                self.duplicates += 1
            if random.random() < 0.03:
                misfit = {**event, "event_id": str(uuid.uuid4()), "label": "maybe"}
                self.misfits.append(misfit["event_id"])
                self._produce(misfit["event_id"], json.dumps(misfit).encode())
            if random.random() < 0.03:
                self.poison += 1
                self._produce(str(uuid.uuid4()), f'{{"poison": "{self.model}", \xff'.encode("latin-1"))
        assert self.producer.flush(30) == 0

    def _produce(self, key: str, value: bytes) -> None:
        self.producer.produce(FEEDBACK_EVENTS.name, key=key, value=value)
        self.producer.poll(0)

    def start(self, dying: str | None = None, **env: str) -> subprocess.Popen[bytes]:
        port = free_port()
        environment = {
            **os.environ, **self.env, "PROCESSOR_PORT": str(port), "PROCESSOR_APP_ID": f"app-{self.model}",
            "PROCESSOR_READER_GROUP": self.group, "PROCESSOR_SESSION_TIMEOUT_S": "6", "PROCESSOR_FLUSH_AGE_S": "0.3",
            "PROCESSOR_THRESHOLD_EVERY_S": "1", "FEEDBACK_TOKEN_KEY": "k" * 32, "MODEL_SPECS_DIR": str(self.home),
            **env,
        }  # fmt: skip
        command = [sys.executable, "-m", "stream_processor"]
        if dying is not None:
            script = self.home / "dying.py"
            script.write_text(DYING)
            command = [sys.executable, str(script), dying]
        log = (self.home / f"worker-{len(self.workers)}.log").open("wb")
        worker = subprocess.Popen(command, env=environment, cwd=self.home, stderr=log)
        worker.port = port  # type: ignore[attr-defined]
        self.workers.append(worker)
        return worker

    def end(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()

    def ids(self, kind: str) -> Counter[str]:
        table = self.lake.table(self.model, kind)  # type: ignore[arg-type]
        if not table.exists():
            return Counter()
        return Counter(read.collect(read.scan(table).select("event_id"), table.uri)["event_id"].to_list())

    def dead_letters(self) -> Counter[tuple[str, int, int]]:
        found: Counter[tuple[str, int, int]] = Counter()
        for partition, first in self.ends[FEEDBACK_DEAD_LETTER].items():
            for record in tail.records_from(self.kafka, FEEDBACK_DEAD_LETTER, partition, first):
                if record.value and self.model.encode() in record.value:
                    source = dead_letter.source_offset(record.headers)
                    assert source is not None
                    assert record.value.startswith(b'{"poison": ')
                    assert record.value.endswith(b"\xff")
                    found[source] += 1
        return found

    def announced(self, topic: Any) -> list[dict[str, Any]]:
        return [
            json.loads(record.value)
            for partition, first in self.ends[topic].items()
            for record in tail.records_from(self.kafka, topic, partition, first)
            if record.key == self.model.encode() and record.value
        ]

    def complete(self) -> bool:
        return (
            len(self.ids("feedback")) >= len(self.sent)
            and len(self.ids("quarantine")) >= len(self.misfits)
            and sum(self.dead_letters().values()) >= self.poison
        )

    def acknowledged(self) -> bool:
        committed = tail.committed_offsets(self.kafka, self.group, FEEDBACK_EVENTS)
        return committed == tail.end_offsets(self.kafka, FEEDBACK_EVENTS)

    def reconcile(self) -> None:
        """Every acknowledged event is in exactly one place, exactly once, and is counted there."""
        until(self.complete)
        until(self.acknowledged)
        assert self.ids("feedback") == Counter(event["event_id"] for event in self.sent)
        assert self.ids("quarantine") == Counter(self.misfits)
        assert set(self.dead_letters().values()) <= {1}
        assert len(self.dead_letters()) == self.poison
        flushes = [v.flush for v in versions.list_versions(self.lake.table(self.model, "feedback")) if v.flush]
        shares = [share for flush in flushes for share in flush["partitions"].values()]
        assert sum(share["rows"] for share in shares) == len(self.sent)
        assert sum(share["duplicates"] for share in shares) == self.duplicates
        assert sum(share["quarantined"] for share in shares) == len(self.misfits)


DYING = textwrap.dedent('''
    import asyncio, os, signal, sys
    from stream_processor import wiring
    from stream_processor.__main__ import run
    from stream_processor.adapters import lake_tables
    from stream_processor.settings import Settings
    from telemetry import logging

    boundary, calls = sys.argv[1], 0
    logging.configure("stream-processor")

    def die(how=signal.SIGKILL):
        global calls
        calls += 1
        if calls == 2:
            os.kill(os.getpid(), how)

    class Dying:
        """Hands everything on; the second call of `method` is the process's last, or (stop) its last for now."""

        def __init__(self, inner, method):
            self.inner, self.method = inner, method

        def __getattr__(self, name):
            found = getattr(self.inner, name)
            if name != self.method:
                return found
            def then_die(*arguments):
                if boundary == "stop":
                    die(signal.SIGSTOP)
                result = found(*arguments)
                if boundary != "stop":
                    die()
                return result
            return then_die

    def dying(method, *boundaries):
        return (lambda inner: Dying(inner, method)) if boundary in boundaries else (lambda inner: inner)

    if boundary == "quarantine":
        original = lake_tables.append_absent
        def append_absent(*arguments):
            original(*arguments)
            die()
        lake_tables.append_absent = append_absent
    wraps = wiring.Wraps(
        tables=dying("append", "append"),
        dead_letters=dying("publish", "publish", "stop"),
        announcements=dying("dataset_committed", "dataset_committed"),
    )
    sys.exit(asyncio.run(run(Settings(), wraps)))
''')


@pytest.fixture
def bench(fresh_env: dict[str, str], tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(fresh_env, tmp_path)
    yield bench
    bench.end()


@pytest.mark.parametrize("boundary", ["quarantine", "append", "publish", "dataset_committed"])
def test_killed_at_a_boundary_it_loses_and_doubles_nothing(bench, boundary):
    bench.send(200)
    worker = bench.start(dying=boundary)
    until(lambda: sum(bench.ids("feedback").values()) + sum(bench.ids("quarantine").values()) > 0)
    while worker.poll() is None:
        bench.send(50)
        time.sleep(0.3)
    assert worker.returncode == -signal.SIGKILL
    bench.start()
    bench.send(100)
    bench.reconcile()
    last = {(e["partition"], e["last_offset"]) for e in bench.announced(DATASET_COMMITTED)}
    flushes = [v.flush for v in versions.list_versions(bench.lake.table(bench.model, "feedback")) if v.flush]
    assert {(int(p), s["last_offset"]) for flush in flushes for p, s in flush["partitions"].items()} <= last


def test_killed_at_random_moments_it_loses_and_doubles_nothing(bench):
    for _ in range(3):
        worker = bench.start()
        before = sum(bench.ids("feedback").values())
        bench.send(150)
        until(lambda before=before: sum(bench.ids("feedback").values()) > before)
        bench.send(150)
        time.sleep(random.uniform(0.0, 0.6))
        worker.kill()
        worker.wait()
    bench.start()
    bench.reconcile()


def test_a_worker_that_was_stopped_past_its_session_doubles_nothing(bench):
    first = bench.start()
    bench.send(100)
    until(lambda: sum(bench.ids("feedback").values()) >= 100)
    second = bench.start()
    until(lambda: ready(second))
    bench.send(300)
    first.send_signal(signal.SIGSTOP)
    bench.send(300)
    until(lambda: len(bench.ids("feedback")) >= len(bench.sent))
    first.send_signal(signal.SIGCONT)
    bench.send(200)
    bench.reconcile()
    assert (first.poll(), second.poll()) == (None, None)


def test_a_worker_that_was_stopped_before_its_dead_letters_does_not_write_them_twice(bench):
    zombie = bench.start(dying="stop")
    until(lambda: ready(zombie))
    until(lambda: bench.send(60) or is_stopped(zombie))
    bench.start()
    bench.send(100)
    until(bench.complete)
    zombie.send_signal(signal.SIGCONT)
    bench.send(100)
    bench.reconcile()


def is_stopped(worker: Any) -> bool:
    return Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_two_workers_share_the_partitions(bench):
    workers = [bench.start(), bench.start()]
    for worker in workers:
        until(lambda worker=worker: ready(worker))
    bench.send(400)
    bench.reconcile()
    assigned = [(bench.home / f"worker-{n}.log").read_text() for n in range(2)]
    until(lambda: all('"partitions": [' in log for log in assigned))
    for worker in workers:
        assert metric(worker, 'flywheel_processor_records_total{topic="feedback-events"}') > 0


class Gate:
    """Stands between the processor and S3, and can be shut."""

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.removeprefix("http://").partition(":")
        self._upstream = (host, int(port))
        self.shut = False
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.shut = True
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        while True:
            client, _ = self._listening.accept()
            if self.shut:
                client.close()
                continue
            server = socket.create_connection(self._upstream)
            self._open += [client, server]
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while received := one.recv(65536):
                if self.shut:
                    break
                other.sendall(received)
        except OSError:
            pass
        finally:
            one.close()
            other.close()


def test_while_s3_is_away_it_waits_and_says_so(bench):
    gate = Gate(bench.env["S3_ENDPOINT_URL"])
    worker = bench.start(S3_ENDPOINT_URL=gate.url)
    bench.send(50)
    until(lambda: sum(bench.ids("feedback").values()) >= 50)
    gate.close()
    bench.send(200)
    until(lambda: "S3_ENDPOINT_URL" in str(readiness(worker)))
    assert worker.poll() is None
    assert get(worker, "/healthz")[0] == 200
    gate.shut = False
    bench.reconcile()
    until(lambda: ready(worker))


def test_an_outage_without_end_stops_the_process_loudly(bench):
    gate = Gate(bench.env["S3_ENDPOINT_URL"])
    worker = bench.start(S3_ENDPOINT_URL=gate.url, PROCESSOR_GIVE_UP_S="1")
    bench.send(20)
    until(lambda: sum(bench.ids("feedback").values()) >= 20)
    gate.close()
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


def get(worker: Any, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read()
    except OSError:
        return 0, b""


def ready(worker: Any) -> bool:
    return get(worker, "/readyz")[0] == 200


def readiness(worker: Any) -> Any:
    return json.loads(get(worker, "/readyz")[1] or b"{}").get("checks", {})


def metric(worker: Any, name: str) -> float:
    lines = get(worker, "/metrics")[1].decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))
