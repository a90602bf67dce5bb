"""What is measured of inference: replicas of the service, and two versions of one model that they serve in turn."""

import json
import os
import random
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.error import URLError
from urllib.request import urlopen

import lightgbm
import numpy as np
import psutil

from benchmarks import processes
from flywheel_local.ports import free_ports
from flywheel_schemas.events import ChallengerState, ModelAction, ModelUpdated
from flywheel_schemas.spec import FeatureSpec, LabelSpec, ModelSpec
from flywheel_schemas.topics import MODEL_UPDATED
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings
from registry import Candidate, ModelVersion, Registry, RegistrySettings, VersionState
from registry.packaging import write_model_folder

FEATURES = tuple(f"f{number}" for number in range(15))
_NAME = f"bench-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class Versions:
    """Two registered versions of one model, and how to tell every replica which of them serves."""

    pair: tuple[ModelVersion, ModelVersion]
    text: str
    publisher: Publisher

    @classmethod
    def register(cls, env: Mapping[str, str]) -> Self:
        """Trains both; the first is the champion."""
        texts = [_train(seed) for seed in (1, 2)]
        spec = ModelSpec(
            name=_NAME,
            task="binary",
            label=LabelSpec(name="late", values=("on_time", "late"), positive="late"),
            features=tuple(FeatureSpec(name=name, type="number") for name in FEATURES),
        )
        secrets = {"aws_access_key_id": env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"]}
        places = {"mlflow_tracking_uri": env["MLFLOW_TRACKING_URI"], "s3_endpoint_url": env["S3_ENDPOINT_URL"]}
        registry = Registry(RegistrySettings.model_validate(secrets | places))
        first, second = (_registered(registry, spec, text) for text in texts)
        state = VersionState.PROMOTED
        registry.set_state(_NAME, first.version, state, traffic_percent=100.0, reason="bench", who="bench")
        registry.set_champion(_NAME, first.version)
        kafka = KafkaSettings(bootstrap_servers=env["KAFKA_BOOTSTRAP_SERVERS"])
        return cls((first, second), texts[0], Publisher(kafka, "/flywheel/bench", linger_ms=0))

    def announce(self, champion: ModelVersion, shadow: ModelVersion | None = None) -> None:
        """Publishes that `champion` serves, with `shadow`, where given, as a challenger beside it."""
        told = ModelUpdated(
            model=_NAME,
            model_version=champion.version,
            action=ModelAction.PROMOTED,
            traffic_percent=100.0,
            champion=champion.version,
            run_id=champion.run_id,
            training_set_hash="bench",
            artifact_uri=champion.artifact_uri,
            artifact_sha256=champion.artifact_sha256,
            occurred_at=datetime.now(UTC),
        )
        if shadow is not None:
            beside = {
                "challenger": shadow.version,
                "challenger_state": ChallengerState.SHADOW,
                "challenger_traffic_percent": 0.0,
                "challenger_artifact_uri": shadow.artifact_uri,
                "challenger_artifact_sha256": shadow.artifact_sha256,
            }
            told = told.model_copy(update=beside)
        self.publisher.publish(MODEL_UPDATED, _NAME, told)


@dataclass(frozen=True, slots=True)
class Replica:
    """A running service."""

    url: str
    pid: int

    @property
    def predict(self) -> str:
        """The address that is asked."""
        return f"{self.url}/v1/models/{_NAME}/predict"

    def serves(self, champion: ModelVersion, challenger: ModelVersion | None = None) -> bool:
        """Whether these two, and no others, are what it answers with. Not while it does not know the model."""
        try:
            with urlopen(f"{self.url}/v1/models/{_NAME}", timeout=10) as response:
                shown = json.load(response)
        except URLError:
            return False
        wanted = (champion.version, challenger and challenger.version)
        return bool((shown.get("champion"), shown.get("challenger")) == wanted)

    def memory_mb(self) -> float:
        """Resident memory."""
        return float(psutil.Process(self.pid).memory_info().rss) / 1e6


@contextmanager
def running(env: Mapping[str, str], home: Path) -> Iterator[Replica]:
    """One replica, with its files in `home`. What does not serve leaves its memory, so each swap loads anew."""
    home.mkdir(parents=True, exist_ok=True)
    [port] = free_ports(1)
    own = {
        "INFERENCE_PORT": str(port),
        "INFERENCE_GRPC_PORT": "0",
        "INFERENCE_CACHE_DIR": str(home / "models"),
        "INFERENCE_SPOOL_DIR": str(home / "spool"),
        "INFERENCE_MEMORY_BYTES": "0",
        "API_KEYS_FILE": "",
        "LOG_LEVEL": "WARNING",
    }
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "inference"]
    with processes.serving(command, {**os.environ, **env, **own}, f"{url}/healthz", home / "inference.log") as pid:
        yield Replica(url, pid)


def bodies(count: int) -> list[str]:
    """Requests of `count` instances each."""
    return [
        json.dumps({"instances": [dict(zip(FEATURES, row, strict=True)) for row in rows]}, separators=(",", ":"))
        for rows in requests(count)
    ]


def requests(count: int) -> Iterator[list[list[float]]]:
    """Fifty times `count` rows of values."""
    draw = random.Random(7)
    for _ in range(50):
        yield [[round(draw.gauss(0, 1), 4) for _ in FEATURES] for _ in range(count)]


def _train(seed: int) -> str:
    """LightGBM's text of a model of 200 trees with 31 leaves on 15 numbers."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(20_000, len(FEATURES)))
    noisy = matrix[:, 0] + matrix[:, 1] * matrix[:, 2] + rng.normal(size=len(matrix))
    data = lightgbm.Dataset(matrix, (noisy > 0).astype(float), feature_name=list(FEATURES))
    parameters: dict[str, Any] = {"objective": "binary", "num_leaves": 31, "verbosity": -1, "num_threads": 1}
    return str(lightgbm.train(parameters | {"seed": seed}, data, 200).model_to_string())


def _registered(registry: Registry, spec: ModelSpec, text: str) -> ModelVersion:
    run = registry.run_store.start(_NAME, "benchmark", {})
    with tempfile.TemporaryDirectory() as folder:
        digest = write_model_folder(Path(folder), spec, text, [], run.run_id)
        candidate = Candidate(_NAME, run.run_id, Path(folder), digest, None, "bench", {}, {}, [], "", "benchmark")
        return registry.register(candidate)
