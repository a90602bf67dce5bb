"""A trainer and a world for its model to learn (`lab`), a processor (`bench`), a `replica` of inference."""

import dataclasses
import os
import signal
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from deltalake import CommitProperties

from flywheel_local.ports import free_ports
from flywheel_schemas.events import ModelUpdated, ThresholdReached, TriggerReason
from flywheel_schemas.spec import ModelSpec, parse_spec
from kafka_runtime import topics
from lake import Lake, schema
from lake.triggers import TriggerLog, trigger_id
from registry import Registry
from registry.runs import Outcome
from tests.integration.inference_bench import Replica
from tests.integration.processor_bench import Bench
from trainer.application.train import Request
from trainer.settings import Settings
from trainer.wiring import Clients, Trainer, build

START = datetime(2026, 1, 1, tzinfo=UTC)


def a_spec(name: str, **training: Any) -> ModelSpec:
    return parse_spec(
        f"""
        name: {name}
        task: binary
        label: {{name: late, values: [on_time, late], positive: late}}
        features:
          - {{name: carrier, type: category, values: [UA, AA, B6]}}
          - {{name: distance, type: number, range: [0, 10], required: true}}
          - {{name: hour, type: number}}
        training: {{rounds: 60, params: {training or {"num_leaves": 15}}}}
        gates: {{max_latency: 500ms}}
        """.replace("'", "")
    )


class World:
    """A model's data in a lake of its own: lateness depends on distance, and on the hour once the world has turned."""

    def __init__(self, lake: Lake, spec: ModelSpec) -> None:
        self.lake, self.spec = lake, spec
        self._random = np.random.default_rng(7)
        self._sent = 0
        lake.ensure_bucket()
        lake.specs.put(spec)

    def flights(self, n: int, *, turned: bool) -> dict[str, Any]:
        columns = {
            "carrier": self._random.choice(["UA", "AA", "B6"], n),
            "distance": self._random.random(n) * 10,
            "hour": self._random.random(n) * 24,
        }
        late = (columns["hour"] > 12) if turned else (columns["distance"] > 5)
        flipped = self._random.random(n) < 0.1
        return {**columns, "label": np.where(late != flipped, "late", "on_time")}

    def frame(self, n: int) -> pl.DataFrame:
        """Base rows as a person has them in a file."""
        times = [(START + timedelta(minutes=i)).isoformat() for i in range(n)]
        flights = self.flights(n, turned=False)
        return pl.DataFrame({"occurred_at": times, "late": flights.pop("label"), **flights})

    def base(self, n: int = 4000) -> None:
        times = [START + timedelta(minutes=i) for i in range(n)]
        rows = pa.table({**self.flights(n, turned=False), "occurred_at": times})
        self.lake.table(self.spec.name, "base").replace(rows.cast(schema.base(self.spec)))

    def corrections(self, n: int = 3000, *, day: int = 30, user: str | None = None) -> list[str]:
        """Predictions of a world that has turned, each corrected an hour later; their event ids."""
        flights = self.flights(n, turned=True)
        label = flights.pop("label")
        asked = [START + timedelta(days=day, seconds=i) for i in range(n)]
        said = [moment + timedelta(hours=1) for moment in asked]
        prediction_ids = [str(uuid.uuid4()) for _ in range(n)]
        event_ids = [str(uuid.uuid4()) for _ in range(n)]
        predicted = self._random.choice(["late", "on_time"], n)
        common = {"prediction_id": prediction_ids, "model_version": ["1"] * n, "variant": ["champion"] * n}
        common |= {"user_hash": [user] * n}
        common |= {"predicted": predicted, "audited": self._random.random(n) < 0.1}
        self._append("predictions", {**flights, **common, "latency_ms": np.ones(n)}, asked, asked)
        teaching = {"event_id": event_ids, "label": label, "kind": ["correction"] * n, "source": ["test"] * n}
        self._append("feedback", {**common, **teaching}, said, said)
        return event_ids

    def _append(self, kind: Any, columns: dict[str, Any], occurred: list[datetime], received: list[datetime]) -> None:
        wanted = schema.of(kind, self.spec)
        n = len(occurred)
        given = {**columns, "occurred_at": occurred, "received_at": received}
        given |= {"event_date": [moment.date() for moment in received], "kafka_partition": [0] * n}
        given |= {"kafka_offset": list(range(self._sent, self._sent + n))}
        self._sent += n
        arrays = [
            pa.array(given[field.name], field.type) if field.name in given else pa.nulls(n, field.type)
            for field in wanted
        ]
        table = self.lake.table(self.spec.name, kind)
        table.ensure(wanted)
        table.append(table.snapshot(fresh=True), pa.Table.from_arrays(arrays, schema=wanted), CommitProperties())

    def trigger(self, *, logged: bool = True) -> ThresholdReached:
        log = TriggerLog(self.lake, self.spec.name)
        newest = log.newest()
        number = newest.n + 1 if newest else 0
        trigger = ThresholdReached(
            trigger_id=trigger_id(self.spec.name, number),
            model=self.spec.name,
            reason=TriggerReason.COUNT,
            dataset_version=1,
            observed=3000,
            threshold=2000,
            occurred_at=datetime.now(UTC),
        )
        if logged:
            assert log.append(number, trigger)
        return trigger


@dataclasses.dataclass
class Lab:
    world: World
    trainer: Trainer
    clients: Clients

    @property
    def model(self) -> str:
        return self.world.spec.name

    @property
    def registry(self) -> Registry:
        return self.clients.registry

    def latest(self) -> ModelUpdated | None:
        return self.clients.announcements.latest().get(self.model)

    def anew(self) -> "Lab":
        """The same trainer, with a model that nobody has heard of."""
        return dataclasses.replace(self, world=World(self.world.lake, a_spec(f"t-{uuid.uuid4().hex[:12]}")))

    def add(self) -> Outcome:
        return self.trainer.train.handle(Request(self.model, "model added"))

    def retrain(self, trigger: ThresholdReached) -> Outcome:
        return self.trainer.train.handle(Request(self.model, "2000 new rows", trigger))


@pytest.fixture
def lab(fresh_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    yield from opened(fresh_env, monkeypatch)


@pytest.fixture(scope="module")
def shared_lab(stack: Any) -> Iterator[Lab]:
    """One for the tests of a module that leave it as they found it."""
    with pytest.MonkeyPatch.context() as patch:
        yield from opened({**stack.env, "LAKE_URI": f"s3://flywheel/test-{uuid.uuid4().hex}"}, patch)


def opened(env: dict[str, str], patch: pytest.MonkeyPatch) -> Iterator[Lab]:
    for name, value in env.items():
        patch.setenv(name, value)
    settings = Settings()
    topics.ensure(settings.kafka)
    held: list[Clients] = []

    def keep(real: Clients) -> Clients:
        held.append(real)
        return real

    trainer = build(settings, replace=keep)
    world = World(Lake(settings.lake), a_spec(f"t-{uuid.uuid4().hex[:12]}"))
    yield Lab(world, trainer, held[0])
    held[0].registry.close()


@pytest.fixture
def bench(fresh_env: dict[str, str], tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(fresh_env, tmp_path)
    yield bench
    bench.end()


@pytest.fixture
def replica(fresh_env: dict[str, str], tmp_path: Path) -> Iterator[Replica]:
    [port] = free_ports(1)
    env = {**os.environ, **fresh_env, "FEEDBACK_TOKEN_KEY": "a key for tests only", "INFERENCE_PORT": str(port)}
    env |= {"INFERENCE_CACHE_DIR": str(tmp_path / "models"), "INFERENCE_SPOOL_DIR": str(tmp_path / "spool")}
    env["INFERENCE_GRPC_PORT"] = "0"
    env.pop("API_KEYS_FILE", None)
    made = Replica(env, tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end(signal.SIGKILL)
