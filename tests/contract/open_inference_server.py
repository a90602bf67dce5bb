"""A process of inference that serves a model from its copy on disk: no Kafka, no registry, no object store."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import lightgbm
import numpy as np
import yaml

from flywheel_local.ports import free_ports
from tests import forked
from tests.http import http
from tests.waiting import until

MODEL, VERSION, OLDER = "trips", "7", "6"
CARRIERS = ("UA", "AA", "B6")
_NOWHERE = "127.0.0.1:1"


@dataclass(frozen=True, slots=True)
class Server:
    """Where it listens."""

    http: str
    grpc: str

    @property
    def url(self) -> str:
        return f"http://{self.http}"


def store_copy(folder: Path, spec: Mapping[str, object], version: str = VERSION, rows: int = 400) -> None:
    """A trained version of a model of three features, stored as inference stores what it serves."""
    rng = np.random.default_rng(1)
    matrix = np.column_stack([rng.integers(0, 3, rows), rng.uniform(0, 6000, rows), rng.integers(0, 2, rows)])
    labels = (matrix[:, 1] + 1000 * matrix[:, 0] > 4000).astype(float)
    data = lightgbm.Dataset(matrix, labels, feature_name=["carrier", "distance", "night"])
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 7}
    text = lightgbm.train(parameters, data, 10).model_to_string().encode()
    digest = hashlib.sha256(text).hexdigest()
    place = folder / str(spec["name"]) / f"{version}-{digest[:16]}"
    place.mkdir(parents=True)
    (place / "model.txt").write_bytes(text)
    (place / "spec.yaml").write_text(yaml.safe_dump(dict(spec)))
    note = {"version": version, "uri": place.as_uri(), "sha256": digest, "at": "2026-01-01T00:00:00Z"}
    (place.parent / "serving.json").write_text(json.dumps(note))


SPEC = {
    "name": MODEL,
    "task": "binary",
    "label": {"name": "late", "values": ["on_time", "late"], "positive": "late"},
    "features": [
        {"name": "carrier", "type": "category", "values": list(CARRIERS), "required": True},
        {"name": "distance", "type": "number", "range": [0, 6000]},
        {"name": "night", "type": "number"},
    ],
}


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[Server]:
    """The process, from the time that its model answers."""
    store_copy(home / "models", SPEC, OLDER)
    store_copy(home / "models", SPEC)
    ports = free_ports(2)
    env = {
        **os.environ,
        "FEEDBACK_TOKEN_KEY": "a key for tests only",
        "KAFKA_BOOTSTRAP_SERVERS": _NOWHERE,
        "MLFLOW_TRACKING_URI": f"http://{_NOWHERE}",
        "S3_ENDPOINT_URL": f"http://{_NOWHERE}",
        "INFERENCE_PORT": str(ports[0]),
        "INFERENCE_GRPC_PORT": str(ports[1]),
        "INFERENCE_CACHE_DIR": str(home / "models"),
        "INFERENCE_SPOOL_DIR": str(home / "spool"),
        "API_KEYS_FILE": "",
        **settings,
    }
    server = Server(f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}")
    process = forked.service("inference", env, home / "log")

    def answers() -> bool:
        assert process.poll() is None, (home / "log").read_text()
        try:
            return http.get(f"{server.url}/v2/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    try:
        until(answers, what=f"a model that answers (see {home}/log)")
        yield server
    finally:
        process.terminate()
        process.wait(40)
