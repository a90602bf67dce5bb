"""The reference of bench.predict.*: MLServer with the same model, in its fastest form."""

import json
import os
import subprocess
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightgbm

from benchmarks import processes, replicas
from flywheel_local.ports import free_ports

VERSION = "1.7.1"
_FOLDER = Path(__file__).resolve().parents[1] / ".flywheel" / "bench" / "mlserver"
_PINS = (f"mlserver=={VERSION}", f"mlserver-lightgbm=={VERSION}", f"lightgbm=={lightgbm.__version__}")


def installed() -> Path:
    """An environment that holds MLServer alone; made, which takes a minute or two, when it is not there."""
    done = _FOLDER / "installed"
    if not done.exists() or done.read_text() != "\n".join(_PINS):
        venv.create(_FOLDER, with_pip=True, clear=True)
        subprocess.run([_FOLDER / "bin" / "python", "-m", "pip", "install", "--quiet", *_PINS], check=True)
        done.write_text("\n".join(_PINS))
    return _FOLDER / "bin"


@contextmanager
def running(folder: Path, text: str) -> Iterator[str]:
    """The address that answers for the model of LightGBM's `text`; no worker process, one OpenMP thread."""
    folder.mkdir()
    http, grpc, metrics = free_ports(3)
    (folder / "model.bst").write_text(text)
    model = {"name": "bench", "implementation": "mlserver_lightgbm.LightGBMModel", "parameters": {"uri": "./model.bst"}}
    (folder / "model-settings.json").write_text(json.dumps(model))
    ports = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    (folder / "settings.json").write_text(json.dumps(ports | {"parallel_workers": 0, "debug": False}))
    url = f"http://127.0.0.1:{http}/v2/models/bench"
    command = [str(installed() / "mlserver"), "start", str(folder)]
    with processes.serving(command, {**os.environ, "OMP_NUM_THREADS": "1"}, f"{url}/ready", folder / "log"):
        yield f"{url}/infer"


def bodies(count: int) -> list[str]:
    """Requests of `count` rows each, as the Open Inference Protocol's tensors."""
    shape = [count, len(replicas.FEATURES)]
    flat = ([value for row in rows for value in row] for rows in replicas.requests(count))
    return [
        json.dumps({"inputs": [{"name": "features", "datatype": "FP64", "shape": shape, "data": data}]})
        for data in flat
    ]
