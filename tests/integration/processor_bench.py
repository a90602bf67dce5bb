"""A processor as a process on real Kafka and S3, the events that it gets, and where they must be afterwards."""

import json
import os
import random
import urllib.error
import urllib.request
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from flywheel_local.ports import free_ports
from flywheel_schemas.spec import ModelSpec, parse_spec
from flywheel_schemas.topics import (
    ALL_TOPICS,
    FEEDBACK_DEAD_LETTER,
    FEEDBACK_EVENTS,
    PREDICTIONS,
)
from kafka_runtime import dead_letter, tail
from kafka_runtime.settings import KafkaSettings
from lake import Lake, LakeSettings, read, versions
from tests import forked
from tests.integration import dying_processor
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
    workers: list[forked.Service] = field(default_factory=list)

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
        self.producer = self.new_producer()

    def new_producer(self, codec: str = "none") -> Producer:
        settings = {"partitioner": "murmur2_random", "linger.ms": 5, "compression.type": codec}
        return Producer(self.kafka.librdkafka() | settings)

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
                self._produce(str(uuid.uuid4()), self._poison())
        assert self.producer.flush(30) == 0

    def end_with_poison(self) -> None:
        """The last records of each partition are some that nobody can read, so they stand in no table."""
        for partition in tail.end_offsets(self.kafka, FEEDBACK_EVENTS):
            for _ in range(2):
                self.producer.produce(FEEDBACK_EVENTS.name, key="x", value=self._poison(), partition=partition)
        assert self.producer.flush(30) == 0

    def _poison(self) -> bytes:
        self.poison += 1
        return f'{{"poison": "{self.model}", \xff'.encode("latin-1")

    def _produce(self, key: str, value: bytes) -> None:
        self.producer.produce(FEEDBACK_EVENTS.name, key=key, value=value)
        self.producer.poll(0)

    def start(self, dying: str | None = None, **env: str) -> forked.Service:
        [port] = free_ports(1)
        environment = {
            **os.environ, **self.env, "PROCESSOR_PORT": str(port), "PROCESSOR_APP_ID": f"app-{self.model}",
            "PROCESSOR_READER_GROUP": self.group, "PROCESSOR_SESSION_TIMEOUT_S": "6", "PROCESSOR_FLUSH_AGE_S": "0.3",
            "PROCESSOR_THRESHOLD_EVERY_S": "1", "FEEDBACK_TOKEN_KEY": "k" * 32, "MODEL_SPECS_DIR": str(self.home),
            **env,
        }  # fmt: skip
        log = self.home / f"worker-{len(self.workers)}.log"
        if dying is None:
            worker = forked.service("stream_processor", environment, log)
        else:
            worker = forked.serving(dying_processor.main, dying, env=environment, log=log)
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
