"""bench.predict.*, bench.swap.*, bench.shadow.p99: inference against MLServer with the same model, and a bare hello.

Registers a model of its own in the MLflow it is given and publishes to its Kafka, so give it ones to throw away.
"""

import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import venv
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import lightgbm
import numpy as np
import psutil

from benchmarks import shadow
from benchmarks.load import Load, Outcome, measure
from benchmarks.results import Row
from flywheel_schemas.spec import FeatureSpec, LabelSpec, ModelSpec
from flywheel_schemas.topics import MODEL_UPDATED
from kafka_runtime.publisher import Publisher
from kafka_runtime.settings import KafkaSettings
from registry import Candidate, ModelVersion, Registry, RegistrySettings, VersionState
from registry.packaging import write_model_folder

_MLSERVER = Path(__file__).resolve().parents[1] / ".flywheel" / "bench" / "mlserver"
_PINS = ("mlserver==1.7.1", "mlserver-lightgbm==1.7.1", f"lightgbm=={lightgbm.__version__}")
_HELLO = str(Path(__file__).with_name("ingest_references.py"))
_FEATURES = tuple(f"f{number}" for number in range(15))
_CONNECTIONS, _ROUNDS, _SECONDS, _BROKER_WARMS_S = 32, 3, 3.0, 10.0
_SWAPS, _SETTLED_AFTER, _SWAP_ROUND_S = 200, 20, 15.0
_NAME = f"bench-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class _Versions:
    """Two versions of one model, and how to tell the service which of them serves."""

    pair: tuple[ModelVersion, ModelVersion]
    publisher: Publisher

    def announce(self, version: ModelVersion) -> None:
        self.publisher.publish(MODEL_UPDATED, _NAME, shadow.event(_NAME, version, None))


@dataclass(frozen=True, slots=True)
class _Service:
    """The running service."""

    url: str
    pid: int

    def memory_mb(self) -> float:
        return float(psutil.Process(self.pid).memory_info().rss) / 1e6


def run(env: Mapping[str, str]) -> list[Row]:
    """Five rows, in about three minutes (the first time, MLServer is installed into `.flywheel/bench`)."""
    full = {**os.environ, **env, "FEEDBACK_TOKEN_KEY": env.get("FEEDBACK_TOKEN_KEY", "benchmark-benchmark")}
    python = _mlserver_python()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        texts = [_train(seed) for seed in (1, 2)]
        versions = _register(full, texts)
        ours, pid = stack.enter_context(_inference(full, home))
        versions.announce(versions.pair[0])
        _until(lambda: _champion(ours) == versions.pair[0].version)
        addresses = {
            "inference": f"{ours}/v1/models/{_NAME}/predict",
            "mlserver": stack.enter_context(_mlserver(python, home / "mlserver", texts[0])),
            "hello": stack.enter_context(_hello(full)),
        }
        # Every prediction goes to Kafka, and while the broker's virtual machine compiles it takes a core for itself.
        measure(Load(addresses["inference"], list(_our_bodies(1)), connections=_CONNECTIONS, seconds=_BROKER_WARMS_S))
        rows = [_predict(count, addresses) for count in (1, 100)]
        rows += _swaps(addresses["inference"], _Service(ours, pid), versions)
        return rows + _shadow(addresses["inference"], ours, versions)


def _predict(count: int, addresses: Mapping[str, str]) -> Row:
    bodies = {"inference": list(_our_bodies(count)), "mlserver": list(_tensor_bodies(count)), "hello": ["{}"]}
    rounds: dict[str, list[Outcome]] = {name: [] for name in addresses}
    for _ in range(_ROUNDS):  # in turns, so that whatever else the machine does meets all alike
        for name, address in addresses.items():
            rounds[name].append(measure(Load(address, bodies[name], connections=_CONNECTIONS, seconds=_SECONDS)))
    rate = {name: statistics.median(each.per_second for each in found) for name, found in rounds.items()}
    p99 = {name: statistics.median(each.p99_ms for each in found) for name, found in rounds.items()}
    failed = sum(each.failed for each in rounds["inference"])
    return Row(
        f"bench.predict.{count}",
        value=round(rate["inference"]),
        unit="requests/s",
        reference=round(rate["mlserver"]),
        ratio=round(rate["inference"] / rate["mlserver"], 2),
        n=sum(each.requests for each in rounds["inference"]),
        note=(
            f"{count} rows, {_CONNECTIONS} connections; reference: MLServer 1.7.1 with the same model, in its fastest "
            f"form (no worker process, one OpenMP thread). {rate['inference'] / rate['hello']:.2f} of a bare ASGI "
            f"hello ({rate['hello']:.0f}/s). p99 {p99['inference']:.1f} ms against {p99['mlserver']:.1f}; "
            f"{failed} failed"
        ),
    )


def _swaps(url: str, service: _Service, versions: _Versions) -> list[Row]:
    load = Load(url, list(_our_bodies(1)), connections=_CONNECTIONS, seconds=_SWAP_ROUND_S)
    calm = [measure(load)]
    memory_mb: dict[int, float] = {}
    outcomes: list[Outcome] = []
    swaps = 0
    while swaps < _SWAPS:
        measuring = threading.Thread(target=lambda: outcomes.append(measure(load)))
        measuring.start()
        while measuring.is_alive() and swaps < _SWAPS:
            version = versions.pair[(swaps + 1) % 2]
            versions.announce(version)
            _until(lambda wanted=version.version: _champion(service.url) == wanted)
            swaps += 1
            if swaps in (_SETTLED_AFTER, _SWAPS):
                memory_mb[swaps] = service.memory_mb()
        measuring.join()
    calm.append(measure(load))
    p99 = statistics.median(each.p99_ms for each in outcomes)
    calm_p99 = statistics.mean(each.p99_ms for each in calm)
    calm_rate = statistics.mean(each.per_second for each in calm)
    requests = sum(each.requests for each in outcomes)
    return [
        Row(
            "bench.swap.failed",
            value=sum(each.failed for each in outcomes),
            unit="requests",
            n=requests,
            note=f"{swaps} swaps under full load of {_CONNECTIONS} connections",
        ),
        Row(
            "bench.swap.p99",
            value=round(p99, 2),
            unit="ms",
            reference=round(calm_p99, 2),
            ratio=round(p99 / calm_p99, 2),
            n=requests,
            note=f"reference: the same load without swaps, before and after ({calm_rate:.0f} requests/s)",
        ),
        Row(
            "bench.swap.memory",
            value=round(memory_mb[_SWAPS], 1),
            unit="MB",
            reference=round(memory_mb[_SETTLED_AFTER], 1),
            ratio=round(memory_mb[_SWAPS] / memory_mb[_SETTLED_AFTER], 3),
            n=_SWAPS,
            note=f"resident memory after swap {_SWAPS}; reference: after swap {_SETTLED_AFTER}; each swap loads anew",
        ),
    ]


def _shadow(url: str, service: str, versions: _Versions) -> list[Row]:
    champion, challenger = versions.pair

    def announce(beside: bool) -> None:
        told = shadow.event(_NAME, champion, challenger if beside else None)
        versions.publisher.publish(MODEL_UPDATED, _NAME, told)
        wanted = (champion.version, challenger.version if beside else None)
        _until(lambda: (_shown(service).get("champion"), _shown(service).get("challenger")) == wanted)

    return shadow.run(Load(url, list(_our_bodies(1)), connections=_CONNECTIONS), announce)


def _train(seed: int) -> str:
    """LightGBM text of a model of 200 trees with 31 leaves on 15 numbers."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(20_000, len(_FEATURES)))
    noisy = matrix[:, 0] + matrix[:, 1] * matrix[:, 2] + rng.normal(size=len(matrix))
    data = lightgbm.Dataset(matrix, (noisy > 0).astype(float), feature_name=list(_FEATURES))
    parameters = {"objective": "binary", "num_leaves": 31, "verbosity": -1, "num_threads": 1, "seed": seed}
    return str(lightgbm.train(parameters, data, 200).model_to_string())


def _register(env: Mapping[str, str], texts: list[str]) -> _Versions:
    spec = ModelSpec(
        name=_NAME,
        task="binary",
        label=LabelSpec(name="late", values=("on_time", "late"), positive="late"),
        features=tuple(FeatureSpec(name=name, type="number") for name in _FEATURES),
    )
    secrets = {"aws_access_key_id": env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"]}
    places = {"mlflow_tracking_uri": env["MLFLOW_TRACKING_URI"], "s3_endpoint_url": env["S3_ENDPOINT_URL"]}
    registry = Registry(RegistrySettings.model_validate(secrets | places))
    found = []
    for text in texts:
        run = registry.run_store.start(_NAME, "benchmark", {})
        with tempfile.TemporaryDirectory() as folder:
            digest = write_model_folder(Path(folder), spec, text, [], run.run_id)
            candidate = Candidate(_NAME, run.run_id, Path(folder), digest, None, "bench", {}, {}, [], "", "benchmark")
            found.append(registry.register(candidate))
    first, second = found
    registry.set_state(_NAME, first.version, VersionState.PROMOTED, traffic_percent=100.0, reason="bench", who="bench")
    registry.set_champion(_NAME, first.version)
    kafka = KafkaSettings(bootstrap_servers=env["KAFKA_BOOTSTRAP_SERVERS"])
    return _Versions((first, second), Publisher(kafka, "/flywheel/bench", linger_ms=0))


def _rows(count: int, draw: random.Random) -> list[list[float]]:
    return [[round(draw.gauss(0, 1), 4) for _ in _FEATURES] for _ in range(count)]


def _our_bodies(count: int) -> Iterator[str]:
    draw = random.Random(7)
    for _ in range(50):
        instances = [dict(zip(_FEATURES, row, strict=True)) for row in _rows(count, draw)]
        yield json.dumps({"instances": instances}, separators=(",", ":"))


def _tensor_bodies(count: int) -> Iterator[str]:
    draw = random.Random(7)
    for _ in range(50):
        data = [value for row in _rows(count, draw) for value in row]
        tensor = {"name": "features", "datatype": "FP64", "shape": [count, len(_FEATURES)], "data": data}
        yield json.dumps({"inputs": [tensor]}, separators=(",", ":"))


def _mlserver_python() -> Path:
    """Python of an environment that holds MLServer alone; made when it is not there."""
    python, done = _MLSERVER / "bin" / "python", _MLSERVER / "installed"
    if not done.exists() or done.read_text() != "\n".join(_PINS):
        venv.create(_MLSERVER, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *_PINS], check=True)
        done.write_text("\n".join(_PINS))
    return python


@contextmanager
def _mlserver(python: Path, folder: Path, text: str) -> Iterator[str]:
    folder.mkdir()
    http, grpc, metrics = (_free_port() for _ in range(3))
    (folder / "model.bst").write_text(text)
    model = {"name": "bench", "implementation": "mlserver_lightgbm.LightGBMModel", "parameters": {"uri": "./model.bst"}}
    (folder / "model-settings.json").write_text(json.dumps(model))
    ports = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    (folder / "settings.json").write_text(json.dumps(ports | {"parallel_workers": 0, "debug": False}))
    quiet = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [str(python.with_name("mlserver")), "start", str(folder)]
    with _process(command, quiet, f"http://127.0.0.1:{http}/v2/models/bench/ready", folder / "log"):
        yield f"http://127.0.0.1:{http}/v2/models/bench/infer"


@contextmanager
def _inference(env: Mapping[str, str], home: Path) -> Iterator[tuple[str, int]]:
    port = _free_port()
    own = {
        "INFERENCE_PORT": str(port),
        "INFERENCE_GRPC_PORT": "0",
        "INFERENCE_CACHE_DIR": str(home / "models"),
        "INFERENCE_SPOOL_DIR": str(home / "spool"),
        "API_KEYS_FILE": "",
        "LOG_LEVEL": "WARNING",
        # Nothing that does not serve stays in memory, so that each swap loads its version anew.
        "INFERENCE_MEMORY_BYTES": "0",
    }
    ready = f"http://127.0.0.1:{port}/healthz"
    with _process([sys.executable, "-m", "inference"], {**env, **own}, ready, home / "inference.log") as pid:
        yield f"http://127.0.0.1:{port}", pid


@contextmanager
def _hello(env: Mapping[str, str]) -> Iterator[str]:
    port = _free_port()
    address = f"http://127.0.0.1:{port}/"
    with _process([sys.executable, _HELLO, "hello", str(port)], env, address, Path(os.devnull)):
        yield address


@contextmanager
def _process(command: list[str], env: Mapping[str, str], ready: str, log: Path) -> Iterator[int]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=dict(env), stdout=output, stderr=output)
    try:
        _until(lambda: process.poll() is not None or _answers(ready))
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended at once: {log.read_text()[-2000:]}")
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        urlopen(url, timeout=2).close()
    except (URLError, OSError):
        return False
    return True


def _champion(service: str) -> str | None:
    champion = _shown(service).get("champion")
    return None if champion is None else str(champion)


def _shown(service: str) -> dict[str, Any]:
    """What the service says of the model; nothing while it cannot."""
    try:
        with urlopen(f"{service}/v1/models/{_NAME}", timeout=10) as response:
            found: dict[str, Any] = json.load(response)
            return found
    except URLError:
        return {}


def _until(condition: Any, timeout_s: float = 90.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it took more than {timeout_s:g} s")
        time.sleep(0.01)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
