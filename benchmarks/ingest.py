"""bench.ingest.*: the ingest service against a bare hello, a plain FastAPI handler and librdkafka alone.

Writes feedback of a model called `bench` into the feedback-events topic of the Kafka it is given, so give it one
whose data nobody needs.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks import processes
from benchmarks.load import Load, Outcome, measure
from benchmarks.results import Row
from flywheel_local.ports import free_ports

_REFERENCES = str(Path(__file__).with_name("ingest_references.py"))
_ROUNDS = 3
_SECONDS = 3.0
_WARM_UP_S = 10.0  # a broker that has just started compiles itself on the cores that are measured
_BATCH = 1000
SPEC = """
name: bench
task: binary
label: {name: late, values: [on_time, late], positive: late}
features:
  - {name: carrier, type: category, values: [UA, AA, B6, DL, EV, MQ, US, WN], required: true}
  - {name: origin, type: category, values: [EWR, JFK, LGA], required: true}
  - {name: distance, type: number, range: [0, 6000]}
  - {name: hour, type: number, range: [0, 24]}
  - {name: month, type: number}
  - {name: wind_speed, type: number}
"""


def run(env: Mapping[str, str]) -> list[Row]:
    """Two rows, in about half a minute. `env` names Kafka and S3 as the services' environment does."""
    full = {**env, "FEEDBACK_TOKEN_KEY": env.get("FEEDBACK_TOKEN_KEY", "benchmark-benchmark")}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        addresses = {"ingest": stack.enter_context(serving(full, folder / "ingest"))}
        addresses |= {name: stack.enter_context(reference(name, full, folder)) for name in ("hello", "fastapi")}
        bodies = [json.dumps(event, separators=(",", ":")) for event in events(500)]
        measure(Load(f"{addresses['ingest']}/v1/feedback", bodies, seconds=_WARM_UP_S))
        return [_single(addresses, bodies), _batch(addresses["ingest"], full)]


def _single(addresses: Mapping[str, str], bodies: list[str]) -> Row:
    rounds: dict[str, list[Outcome]] = {name: [] for name in addresses}
    for _ in range(_ROUNDS):  # in turns, so that whatever else the machine does meets all alike
        for name, address in addresses.items():
            rounds[name].append(measure(Load(f"{address}/v1/feedback", bodies, seconds=_SECONDS)))
    rate = {name: statistics.median(each.per_second for each in found) for name, found in rounds.items()}
    failed = sum(each.failed for each in rounds["ingest"])
    p99 = statistics.median(each.p99_ms for each in rounds["ingest"])
    return Row(
        "bench.ingest.single",
        value=round(rate["ingest"]),
        unit="events/s",
        reference=round(rate["hello"]),
        ratio=round(rate["ingest"] / rate["hello"], 3),
        n=sum(each.requests for each in rounds["ingest"]),
        note=(
            f"64 connections, one worker; reference: a bare ASGI hello. {rate['ingest'] / rate['fastapi']:.1f} x a"
            f" plain FastAPI handler ({rate['fastapi']:.0f}/s). p99 {p99:.0f} ms, {failed} failed"
        ),
    )


def _batch(address: str, env: Mapping[str, str]) -> Row:
    batch = list(events(_BATCH))
    body = json.dumps(batch, separators=(",", ":"))
    measure(Load(f"{address}/v1/feedback/batch", [body], connections=4, seconds=_WARM_UP_S))
    values = "\n".join(json.dumps(_as_published(event), separators=(",", ":")) for event in batch)
    batches, raw = [], []
    for _ in range(_ROUNDS):
        load = Load(f"{address}/v1/feedback/batch", [body], connections=4, seconds=_SECONDS)
        batches.append(measure(load))
        command = [sys.executable, _REFERENCES, "produce", str(_SECONDS)]
        own = {**os.environ, **env}
        done = subprocess.run(command, input=values, env=own, capture_output=True, text=True, check=True)
        raw.append(float(done.stdout))
    rate = statistics.median(each.per_second for each in batches) * _BATCH
    reference = statistics.median(raw)
    failed = sum(each.failed for each in batches)
    return Row(
        "bench.ingest.batch",
        value=round(rate),
        unit="events/s",
        reference=round(reference),
        ratio=round(rate / reference, 3),
        n=sum(each.requests for each in batches) * _BATCH,
        note=(
            f"batches of {_BATCH:,} as a JSON array, 4 connections, one worker; reference: librdkafka producing the"
            f" same records. {failed} failed"
        ),
    )


def events(count: int) -> Iterator[dict[str, Any]]:
    """Corrections of the model in `SPEC`, the same each time."""
    draw = random.Random(7)
    for _ in range(count):
        yield {
            "event_id": str(UUID(int=draw.getrandbits(128), version=4)),
            "model": "bench",
            "kind": "correction",
            "prediction_id": str(UUID(int=draw.getrandbits(128), version=4)),
            "features": {
                "carrier": draw.choice(["UA", "AA", "B6", "DL"]),
                "origin": draw.choice(["EWR", "JFK", "LGA"]),
                "distance": draw.randrange(100, 5000),
                "hour": draw.randrange(24),
                "month": draw.randrange(1, 13),
                "wind_speed": round(draw.uniform(0, 30), 2),
            },
            "label": draw.choice(["on_time", "late"]),
            "user_id": f"user-{draw.randrange(1000)}",
            "source": "bench",
            "occurred_at": "2026-11-24T12:00:00Z",
        }


def _as_published(event: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in event.items() if name != "user_id"}
    return kept | {"user_hash": "0" * 32, "received_at": "2026-11-24T12:00:00.123456Z"}


@contextmanager
def serving(env: Mapping[str, str], folder: Path) -> Iterator[str]:
    """The address of an ingest service that knows the model of `events`, with its files in `folder`."""
    specs = folder / "specs"
    specs.mkdir(parents=True)
    (specs / "bench.yaml").write_text(SPEC)
    [port] = free_ports(1)
    own = {"INGEST_PORT": str(port), "MODEL_SPECS_DIR": str(specs), "LOG_LEVEL": "WARNING", "API_KEYS_FILE": ""}
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "ingest"]
    with processes.serving(command, {**os.environ, **env, **own}, f"{url}/readyz", folder / "log"):
        yield url


@contextmanager
def reference(name: str, env: Mapping[str, str], folder: Path) -> Iterator[str]:
    """The address of one of `ingest_references`, with its log in `folder`."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, _REFERENCES, name, str(port)]
    with processes.serving(command, {**os.environ, **env}, f"{url}/", folder / f"{name}.log"):
        yield url
