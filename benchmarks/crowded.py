"""A system that has been in use for long: fifty models, two hundred versions, a million rows of feedback.

All of it is real: the rows are Delta tables written by the lake, the versions are MLflow's, and the first of them was
trained by the trainer; the others carry its files under names of their own.
"""

import tempfile
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa

from flywheel_local.stack import Stack
from flywheel_schemas.spec import ModelSpec, parse_spec
from lake import Lake, LakeSettings, schema
from lake.append import append_once
from registry import Candidate, ModelVersion, Registry, RegistrySettings, VersionState
from registry.packaging import write_model_folder
from registry.runs import Outcome
from tests.waiting import until

MODELS, VERSIONS, ROWS, DAYS = 50, 200, 1_000_000, 30
BUSIEST = "model-00"
_GIVEN = (
    "KAFKA_BOOTSTRAP_SERVERS", "S3_ENDPOINT_URL", "MLFLOW_TRACKING_URI", "MODEL_ARTIFACTS_URI", "FEEDBACK_TOKEN_KEY",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION",
)  # fmt: skip
# Not a partition's own id: the processor would take the table for another topic's.
_WRITER = "benchmark"
_TABLES: tuple[schema.Kind, ...] = ("predictions", "feedback")
_BASE_ROWS, _USERS, _SOURCES = 4_000, 5_000, ("shop", "support", "app")


def spec_of(number: int) -> ModelSpec:
    """The spec of the model of that number; all have the same features."""
    features = "".join(f", {{name: f{place}, type: number}}" for place in range(8))
    return parse_spec(
        f"{{name: model-{number:02}, task: binary, label: {{name: late, values: [on_time, late], positive: late}},"
        f" features: [{{name: carrier, type: category, values: [UA, AA, B6, WN]}}{features}],"
        " retrain: {feedback_count: null}, training: {rounds: 40}, gates: {max_latency: 1s}}"
    )


def build(env: Mapping[str, str], home: Path) -> Stack:
    """Its services, on the servers that `env` names, with all of it behind them. Takes some minutes."""
    given = {name: env[name] for name in _GIVEN if name in env}
    lake_uri = f"{env['LAKE_URI']}-crowded-{uuid.uuid4().hex[:8]}"
    stack = Stack(home, given={**given, "LAKE_URI": lake_uri}, ready_timeout_s=600)
    stack.stop_with_parent()
    stack.start_services(["trainer"])
    settings: Any = {name: value for name, value in stack.env.items() if name.startswith(("LAKE_", "S3_", "AWS_"))}
    lake, registry = Lake(LakeSettings(**settings)), _registry(stack.env)
    for number in range(MODELS):
        lake.specs.put(spec_of(number))
    first = _train(lake, registry, stack.env["TRAINER_URL"])
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda number: _register(registry, first, number), range(MODELS)))
    for number in range(MODELS):
        _fill(lake, number, ROWS if number == 0 else 100)
    registry.close()
    stack.start_services()
    _until_looked_at(stack.env["TRAINER_URL"])
    return stack


def _until_looked_at(trainer: str) -> None:
    """Until the trainer has looked at every model once, which it begins with when it starts."""
    last = f'model="{spec_of(MODELS - 1).name}"'

    def looked() -> bool:
        lines = httpx.get(f"{trainer}/metrics", timeout=60).text.splitlines()
        return any(line.startswith("flywheel_dataset_rows") and last in line for line in lines)

    until(looked, 300, "the trainer's first look at every model", every_s=1.0)


def _registry(env: Mapping[str, str]) -> Registry:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_URI", "S3_ENDPOINT_URL",
             "MODEL_ARTIFACTS_URI")  # fmt: skip
    return Registry(RegistrySettings.model_validate({name.lower(): env[name] for name in names}))


def _train(lake: Lake, registry: Registry, trainer: str) -> ModelVersion:
    """The first version of the busiest model, by the trainer itself."""
    spec = spec_of(0)
    columns = _features(np.random.default_rng(1), _BASE_ROWS)
    late = columns["f0"] + columns["f1"] > 0
    began = datetime.now(UTC) - timedelta(days=400)
    columns |= {"label": np.where(late, "late", "on_time")}
    columns |= {"occurred_at": [began + timedelta(minutes=minute) for minute in range(_BASE_ROWS)]}
    lake.table(spec.name, "base").replace(pa.table(columns).cast(schema.base(spec)))
    httpx.post(f"{trainer}/v1/models", json={"model": spec.name}, timeout=60).raise_for_status()
    deadline = time.monotonic() + 180
    while (found := registry.champion(spec.name)) is None:
        if time.monotonic() > deadline:
            raise RuntimeError("the trainer made no first version within three minutes; see its log")
        time.sleep(0.2)
    return found


def _register(registry: Registry, first: ModelVersion, number: int) -> None:
    """The versions of one model: fifty-three of the busiest, three of each other; the newest serves."""
    spec = spec_of(number)
    others = VERSIONS - 3 * (MODELS - 1)
    text = registry.artifacts.get(first.artifact_uri, "model.txt").decode()
    record = registry.artifacts.get(first.artifact_uri, "training.json")
    found = first if number == 0 else None
    for _ in range(others - 1 if number == 0 else 3):
        run = registry.run_store.start(spec.name, "training", {"reason": "benchmark"})
        registry.run_store.log(run.run_id, params={}, metrics=first.metrics)
        with tempfile.TemporaryDirectory() as folder:
            digest = write_model_folder(Path(folder), spec, text, [], run.run_id)
            (Path(folder) / "training.json").write_bytes(record)
            found = registry.register(
                Candidate(
                    spec.name, run.run_id, Path(folder), digest, None, first.training_set_hash, {"feedback": 1},
                    first.metrics, first.gates, "", "benchmark", found.version if found else None,
                )
            )  # fmt: skip
        registry.run_store.finish(run.run_id, Outcome.PROMOTED, "benchmark", found.version)
    if found and number:
        state = VersionState.PROMOTED
        registry.set_state(spec.name, found.version, state, traffic_percent=100.0, reason="benchmark", who="benchmark")
        registry.set_champion(spec.name, found.version)


def _fill(lake: Lake, number: int, rows: int) -> None:
    """Predictions and what people said about them, day by day until now."""
    spec, random = spec_of(number), np.random.default_rng(number)
    days = DAYS if rows > DAYS * 100 else 1
    for kind in _TABLES:
        lake.table(spec.name, kind).ensure(schema.of(kind, spec))
    for day in range(days):
        when = datetime.now(UTC) - timedelta(days=days - 1 - day, minutes=1)
        columns = _answers(random, day, rows // days, when)
        for kind in _TABLES:
            wanted = schema.of(kind, spec)
            n = rows // days
            arrays = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(n, f.type) for f in wanted]
            table = pa.Table.from_arrays(arrays, schema=wanted)
            append_once(lake.table(spec.name, kind), table, _WRITER, (day + 1) * n - 1)


def _answers(random: np.random.Generator, day: int, n: int, when: datetime) -> dict[str, Any]:
    features = _features(random, n)
    right = np.where(features["f0"] + features["f1"] > 0, "late", "on_time")
    said = np.where(random.random(n) < 0.2, np.where(right == "late", "on_time", "late"), right)
    moments = [when - timedelta(milliseconds=int(n - place)) for place in range(n)]
    return features | {
        "prediction_id": _ids(random, n),
        "event_id": _ids(random, n),
        "model_version": ["1"] * n,
        "variant": ["champion"] * n,
        "predicted": said,
        "label": right,
        "score": random.random(n) / 2 + 0.5,
        "audited": random.random(n) < 0.05,
        "user_hash": [f"{user:032x}" for user in random.integers(0, _USERS, n)],
        "kind": np.where(said == right, "confirmation", "correction"),
        "source": random.choice(_SOURCES, n),
        "latency_ms": np.ones(n),
        "occurred_at": moments,
        "received_at": moments,
        "event_date": [when.date()] * n,
        "kafka_partition": np.zeros(n, dtype=np.int32),
        "kafka_offset": np.arange(day * n, (day + 1) * n),
    }


def _features(random: np.random.Generator, n: int) -> dict[str, Any]:
    numbers = {f"f{place}": random.normal(0.1, 1.0, n) for place in range(8)}
    return {"carrier": random.choice(["UA", "AA", "B6", "WN"], n), **numbers}


def _ids(random: np.random.Generator, n: int) -> list[str]:
    drawn = random.bytes(16 * n)
    return [str(uuid.UUID(bytes=drawn[place : place + 16])) for place in range(0, 16 * n, 16)]
