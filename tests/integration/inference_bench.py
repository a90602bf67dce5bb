"""A replica of inference as a process, versions of a model for it, and clients that ask it without end."""

import json
import signal
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import lightgbm
import numpy as np
import psutil
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from typing_extensions import override

from features import Answers, FeatureSchema
from flywheel_schemas.events import ModelAction, ModelUpdated, Prediction
from flywheel_schemas.spec import FeatureSpec, LabelSpec, ModelSpec
from flywheel_schemas.topics import MODEL_UPDATED, PREDICTIONS
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings
from registry import Candidate, ModelVersion, Registry, RegistrySettings, VersionState
from registry.packaging import write_model_folder
from tests import forked
from tests.asking import Asking
from tests.http import http
from tests.waiting import until

CARRIERS = ("UA", "AA", "B6")


class Workshop:
    """Trains, registers and promotes versions of a model of its own, as the trainer does."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.name = f"m-{uuid.uuid4().hex[:12]}"
        self.spec = ModelSpec(
            name=self.name,
            task="binary",
            label=LabelSpec(name="late", values=("on_time", "late"), positive="late"),
            features=(
                FeatureSpec(name="carrier", type="category", values=CARRIERS, required=True),
                FeatureSpec(name="distance", type="number", range=(0.0, 6000.0)),
            ),
        )
        secrets = {"aws_access_key_id": env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"]}
        self.registry = Registry(
            RegistrySettings(
                mlflow_tracking_uri=env["MLFLOW_TRACKING_URI"], s3_endpoint_url=env["S3_ENDPOINT_URL"], **secrets
            )
        )
        self._kafka = env["KAFKA_BOOTSTRAP_SERVERS"]
        self._schema = FeatureSchema(self.spec)
        self.boosters: dict[str, lightgbm.Booster] = {}

    def register(self) -> ModelVersion:
        booster = self._train(len(self.boosters) + 1)
        run = self.registry.run_store.start(self.name, "test", {})
        with tempfile.TemporaryDirectory() as folder:
            digest = write_model_folder(Path(folder), self.spec, booster.model_to_string(), [], run.run_id)
            version = self.registry.register(
                Candidate(self.name, run.run_id, Path(folder), digest, None, "hash", {}, {}, [], "", "test")
            )
        self.boosters[version.version] = booster
        return version

    def promote(self, version: ModelVersion) -> None:
        self.note(version)
        self.announce(version)

    def note(self, version: ModelVersion) -> None:
        self.registry.set_state(
            self.name, version.version, VersionState.PROMOTED, traffic_percent=100.0, reason="test", who="test"
        )
        self.registry.set_champion(self.name, version.version)

    def announce(self, version: ModelVersion) -> None:
        event = ModelUpdated(
            model=self.name,
            model_version=version.version,
            action=ModelAction.PROMOTED,
            traffic_percent=100.0,
            champion=version.version,
            run_id=version.run_id,
            training_set_hash="hash",
            artifact_uri=version.artifact_uri,
            artifact_sha256=version.artifact_sha256,
            occurred_at=datetime.now(UTC),
        )
        publisher = Publisher(KafkaSettings(bootstrap_servers=self._kafka), "/test")
        publisher.publish(MODEL_UPDATED, self.name, event)
        publisher.close()

    def score(self, version: str, instance: Mapping[str, Any]) -> float:
        row = self._schema.matrix({name: [value] for name, value in instance.items()})
        return float(np.asarray(self.boosters[version].predict(row))[0])

    def _train(self, seed: int) -> lightgbm.Booster:
        rng = np.random.default_rng(seed)
        matrix = np.column_stack([rng.integers(0, 3, 500), rng.uniform(0, 6000, 500)])
        labels = rng.choice(["on_time", "late"], 500).tolist()
        data = lightgbm.Dataset(matrix, Answers(self.spec).targets(labels), feature_name=list(self.spec.feature_names))
        return lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": seed}, data, 15)


@dataclass
class Replica:
    """One process of inference."""

    env: dict[str, str]
    home: Path
    process: forked.Service | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.env['INFERENCE_PORT']}"

    def start(self, **changes: str) -> "Replica":
        self.process = forked.service("inference", self.env | changes, self.home / "log")
        until(self._listens, what=f"a listening replica (see {self.home}/log)")
        return self

    def ready(self, model: str, **changes: str) -> "Replica":
        self.start(**changes)
        until(lambda: self.champion(model) is not None and not self.complaint(model), what="readiness")
        return self

    def complaint(self, model: str) -> str | None:
        """Why the replica is not ready as far as `model` goes; other tests have models here too."""
        told = self.get("/readyz").json()["checks"]["models"]
        return told if model in told or "starting" in told or "nothing says" in told else None

    def get(self, path: str) -> httpx.Response:
        return http.get(f"{self.url}{path}", timeout=10.0)

    def predict(self, model: str, *instances: dict[str, Any]) -> httpx.Response:
        return http.post(f"{self.url}/v1/models/{model}/predict", json={"instances": instances}, timeout=10.0)

    def champion(self, model: str) -> str | None:
        found = self.get(f"/v1/models/{model}")
        return found.json()["champion"] if found.status_code == 200 else None

    def metric(self, name: str) -> float:
        lines = self.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f"flywheel_inference_{name}"))

    def courier(self) -> psutil.Process:
        """The process that brings its predictions to Kafka."""
        found: list[psutil.Process] = until(self._couriers, what="a courier")
        return found[0]

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(40.0)

    def _couriers(self) -> list[psutil.Process]:
        assert self.process is not None
        alive = [each for each in psutil.Process(self.process.pid).children() if each.status() != psutil.STATUS_ZOMBIE]
        return [each for each in alive if "inference.wiring.courier" in each.cmdline()]

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.home / "log").read_text()
        try:
            return self.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False


class Load(Asking):
    """Clients that ask again as soon as they are answered, until stopped."""

    def __init__(self, replica: Replica, model: str, clients: int = 6) -> None:
        super().__init__(clients)
        self.answers: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._url = f"{replica.url}/v1/models/{model}/predict"

    @override
    def ask(self, number: int) -> None:
        rng = np.random.default_rng(number)
        with httpx.Client(timeout=20.0) as client:
            while not self.stopping.is_set():
                instance = {"carrier": CARRIERS[int(rng.integers(3))], "distance": float(rng.uniform(0, 6000))}
                try:
                    response = client.post(self._url, json={"instances": [instance]})
                except httpx.ConnectError:
                    return  # the process no longer listens: nothing was asked of it
                except httpx.TransportError as exc:
                    self.failures.append(repr(exc))
                    return
                if response.status_code != 200:
                    self.failures.append(f"{response.status_code} {response.text}")
                    continue
                self.answers.append((instance, response.json()["predictions"][0]))


def predictions_by_partition(kafka: str, model: str) -> list[list[str]]:
    """The ids of all predictions of `model` in the topic, partition by partition in order."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": uuid.uuid4().hex, "enable.partition.eof": True})
    try:
        partitions = consumer.list_topics(PREDICTIONS.name, timeout=10).topics[PREDICTIONS.name].partitions
        consumer.assign([TopicPartition(PREDICTIONS.name, number, OFFSET_BEGINNING) for number in partitions])
        found: dict[int, list[str]] = {number: [] for number in partitions}
        unread = set(partitions)
        while unread:
            message = consumer.poll(10.0)
            assert message is not None, "the topic cannot be read to its end"
            if message.error():
                unread.discard(message.partition())
            elif json.loads(message.value())["model"] == model:
                found[message.partition()].append(str(Prediction.parse(message.value()).prediction_id))
        return list(found.values())
    finally:
        consumer.close()
