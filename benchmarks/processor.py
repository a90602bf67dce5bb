"""bench.processor.*: Kafka to committed Delta on S3 with one worker, against a plain Faust agent that does nothing.

Writes a million events of a model called `bench` into feedback-events of the Kafka it is given, and tables under
prefixes of their own: give it servers whose data nobody needs.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks import processes
from benchmarks.results import Row
from flywheel_local.ports import free_ports
from flywheel_schemas.spec import ModelSpec, parse_spec
from flywheel_schemas.topics import FEEDBACK_EVENTS, PREDICTIONS
from kafka_runtime import tail
from kafka_runtime.settings import KafkaSettings
from lake import Lake, LakeSettings, schema, versions
from lake.append import append_all, transaction_id

_EVENTS = 1_000_000
_DUPLICATES = 0.1
_SEEDED = 5_000_000
_SEED_FILES = 10
_REFERENCE_SECONDS = 8.0
_LIMIT_S = 55.0
_CARRIERS = ("UA", "AA", "B6", "DL", "EV", "MQ", "US", "WN")
_NUMBERS = ("distance", "hour", "month", "day", "wind_speed", "temp", "humid", "pressure")
_SPEC = f"""
name: bench
task: binary
label: {{name: late, values: [on_time, late], positive: late}}
features:
  - {{name: carrier, type: category, values: [{", ".join(_CARRIERS)}], required: true}}
  - {{name: origin, type: category, values: [EWR, JFK, LGA], required: true}}
{"".join(f"  - {{name: {name}, type: number}}" + chr(10) for name in _NUMBERS)}retrain: {{feedback_count: 1000000000}}
"""


def run(env: Mapping[str, str]) -> list[Row]:
    """Three rows, in about two minutes. `env` names Kafka and S3 as the services' environment does."""
    spec = parse_spec(_SPEC)
    kafka = KafkaSettings(bootstrap_servers=env["KAFKA_BOOTSTRAP_SERVERS"])
    begin = {topic.name: tail.end_offsets(kafka, topic) for topic in (FEEDBACK_EVENTS, PREDICTIONS)}
    size = _produce(kafka)
    # Before and after, so that whatever else the machine does meets both alike.
    before = _reference(env, kafka, begin)
    empty = _lake(env, spec)
    rate, quiet = _measure(env, kafka, begin, empty)
    reference = statistics.mean([before, _reference(env, kafka, begin)])
    stored = versions.row_count(empty.table("bench", "feedback"))
    full = _lake(env, spec)
    _seed(full, spec, kafka.partitions)
    rate_full, _ = _measure(env, kafka, begin, full)
    return [
        Row(
            "bench.processor.rate", round(rate), "events/s", round(reference), round(rate / reference, 2), _EVENTS,
            f"one worker, events of {size} bytes, {_DUPLICATES:.0%} duplicates ({stored} rows stored), to committed "
            "offsets; reference: a plain Faust agent that does nothing on the same topic",
        ),
        Row(
            "bench.processor.rate_5m", round(rate_full), "events/s", round(rate), round(rate_full / rate, 2), _EVENTS,
            f"the same, with {_SEEDED} rows in the table and in the index; reference: with an empty table",
        ),
        Row(
            "bench.processor.quiet", round(statistics.median(quiet), 2), "s", None, None, len(quiet),
            f"median from acknowledgement to the lake, one event at a time; slowest {max(quiet):.2f} s",
        ),
    ]  # fmt: skip


def event(event_id: str, rng: random.Random, now: str) -> bytes:
    """One piece of feedback as ingest writes it."""
    numbers = ",".join(f'"{name}":{rng.random() * 100:.4f}' for name in _NUMBERS)
    label, audited = ("late" if rng.random() < 0.4 else "on_time"), ("true" if rng.random() < 0.02 else "false")
    return (
        f'{{"event_id":"{event_id}","model":"bench","kind":"correction","source":"api","occurred_at":"{now}",'
        f'"received_at":"{now}","features":{{"carrier":"{rng.choice(_CARRIERS)}","origin":"JFK",{numbers}}},'
        f'"label":"{label}","prediction_id":"{event_id}","model_version":"3","variant":"champion",'
        f'"predicted":"on_time","audited":{audited},"user_hash":"{event_id.replace("-", "")}"}}'
    ).encode()


def _produce(kafka: KafkaSettings) -> int:
    """Fill the topic; the mean size of an event in bytes."""
    rng, bits, total = random.Random(7), random.Random(uuid.uuid4().int), 0
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    producer = Producer(
        kafka.librdkafka()
        | {"partitioner": "murmur2_random", "linger.ms": 20, "queue.buffering.max.messages": 500_000, "acks": "all"}
    )
    sent: list[tuple[str, bytes]] = []
    for _ in range(_EVENTS):
        if sent and rng.random() < _DUPLICATES:
            key, value = sent[rng.randrange(len(sent))]
        else:
            key = str(uuid.UUID(int=bits.getrandbits(128), version=4))
            value = event(key, rng, now)
            sent.append((key, value))
        total += len(value)
        while True:
            try:
                producer.produce(FEEDBACK_EVENTS.name, key=key, value=value)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60):
        raise RuntimeError("Kafka did not acknowledge the events of the benchmark")
    return total // _EVENTS


def _reference(env: Mapping[str, str], kafka: KafkaSettings, begin: Mapping[str, Mapping[int, int]]) -> float:
    group = f"bench-faust-{uuid.uuid4().hex[:8]}"
    _stand_at(kafka, group, begin)
    script = Path(__file__).with_name("processor_reference.py")
    ended = subprocess.run(
        [sys.executable, str(script), group, str(_REFERENCE_SECONDS)],
        env={**os.environ, **env},
        capture_output=True,
        timeout=_LIMIT_S,
        check=True,
    )
    counted = json.loads(ended.stdout)
    return float(counted["events"] / counted["seconds"])


def _lake(env: Mapping[str, str], spec: ModelSpec) -> Lake:
    uri = f"s3://flywheel/bench-processor-{uuid.uuid4().hex[:8]}"
    lake = Lake(LakeSettings.model_validate({**env, "LAKE_URI": uri}))
    lake.ensure_bucket()
    lake.specs.put(spec)
    return lake


def _measure(
    env: Mapping[str, str], kafka: KafkaSettings, begin: Mapping[str, Mapping[int, int]], lake: Lake
) -> tuple[float, list[float]]:
    """Events a second from being ready to the last committed offset; then seconds of single events to the lake."""
    group = f"bench-{uuid.uuid4().hex[:8]}"
    _stand_at(kafka, group, begin)
    end = tail.end_offsets(kafka, FEEDBACK_EVENTS)
    with _worker({**os.environ, **env, "LAKE_URI": lake.settings.uri}, group):
        began = time.perf_counter()
        _until_acknowledged(kafka, group, end)
        rate = _EVENTS / (time.perf_counter() - began)
        return rate, [_one(kafka, lake) for _ in range(7)]


def _stand_at(kafka: KafkaSettings, group: str, positions: Mapping[str, Mapping[int, int]]) -> None:
    consumer = Consumer(kafka.librdkafka() | {"group.id": group})
    offsets = [TopicPartition(topic, p, offset) for topic, found in positions.items() for p, offset in found.items()]
    consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()


def _until_acknowledged(kafka: KafkaSettings, group: str, end: Mapping[int, int]) -> None:
    consumer = Consumer(kafka.librdkafka() | {"group.id": group, "enable.auto.commit": False})
    wanted = [TopicPartition(FEEDBACK_EVENTS.name, partition) for partition in end]

    def acknowledged() -> bool:
        return all(found.offset >= end[found.partition] for found in consumer.committed(wanted, timeout=10))

    try:
        processes.until(acknowledged, _LIMIT_S, every_s=0.05)
    finally:
        consumer.close()


def _one(kafka: KafkaSettings, lake: Lake) -> float:
    table = lake.table("bench", "feedback")
    before = int(table.at(None).version())
    producer = Producer(kafka.librdkafka() | {"partitioner": "murmur2_random", "linger.ms": 0})
    key = str(uuid.uuid4())
    producer.produce(
        FEEDBACK_EVENTS.name, key=key, value=event(key, random.Random(1), datetime.now(UTC).isoformat()[:26] + "Z")
    )
    producer.flush(10)
    began = time.perf_counter()
    while int(table.at(None).version()) == before and time.perf_counter() - began < 20:
        time.sleep(0.02)
    return time.perf_counter() - began


@contextmanager
def _worker(env: Mapping[str, str], group: str) -> Iterator[None]:
    """One processor, from the moment that it is ready."""
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        environment = {
            **env, "PROCESSOR_PORT": str(port), "PROCESSOR_READER_GROUP": group, "PROCESSOR_APP_ID": f"{group}-app",
            "MODEL_SPECS_DIR": folder, "API_KEYS_FILE": "",
        }  # fmt: skip
        command = [sys.executable, "-m", "stream_processor"]
        with processes.serving(command, environment, f"http://127.0.0.1:{port}/readyz", log):
            yield


def _seed(lake: Lake, spec: ModelSpec, partitions: int) -> None:
    """Rows that a week of feedback would leave behind, appended in large files."""
    table, rng = lake.table("bench", "feedback"), np.random.default_rng(11)
    table.ensure(schema.feedback(spec))
    each, now = _SEEDED // _SEED_FILES, datetime.now(UTC)
    for number in range(_SEED_FILES):
        columns: dict[str, pa.Array] = {
            "event_id": random_uuids(rng, each),
            "label": pa.array(rng.integers(0, 2, each).astype(np.int32)).cast(pa.string()),
            "distance": pa.array(rng.random(each)),
            "occurred_at": pa.repeat(pa.scalar(now, schema.TIMESTAMP), each),
            "received_at": pa.repeat(pa.scalar(now, schema.TIMESTAMP), each),
            "event_date": pa.repeat(pa.scalar(now.date(), pa.date32()), each),
            "kafka_partition": pa.array(np.arange(each, dtype=np.int32) % partitions),
            "kafka_offset": pa.array(np.full(each, number, dtype=np.int64)),
        }
        append_all(table, pa.table(columns), {transaction_id("seed", 0): number}, lambda _: {})


def random_uuids(rng: np.random.Generator, count: int) -> pa.Array:
    """Canonical texts of random UUIDs, made without a loop."""
    nibbles = rng.integers(0, 16, (count, 36), dtype=np.uint8)
    chars = np.frombuffer(b"0123456789abcdef", np.uint8)[nibbles]
    chars[:, [8, 13, 18, 23]] = ord("-")
    offsets = np.arange(count + 1, dtype=np.int32) * 36
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(chars)))
