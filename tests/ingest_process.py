"""The ingest service as a process of its own, for tests that need it whole."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from flywheel_local.ports import free_ports
from flywheel_schemas.spec import parse_spec
from flywheel_schemas.tokens import TokenKeys
from tests import forked

SECRET = "a key for tests only"
FLIGHTS = """
name: flights
task: binary
label: {name: late, values: [on_time, late], positive: late}
features:
  - {name: carrier, type: category, values: [UA, AA, B6], required: true}
  - {name: distance, type: number, range: [0, 6000]}
"""


@dataclass(frozen=True)
class Ingest:
    """A running service; `client` asks it, `log` is the file that it writes to."""

    process: forked.Service
    client: httpx.Client
    port: int
    log: Path
    tokens: TokenKeys


@contextmanager
def running(env: Mapping[str, str], folder: Path, *, wait_for: str = "/readyz", **more: str) -> Iterator[Ingest]:
    """The service with `env` and the model `flights`, once `wait_for` answers 200; ended by SIGTERM, in order."""
    specs = folder / "specs"
    specs.mkdir(exist_ok=True)
    (specs / "flights.yaml").write_text(FLIGHTS)
    parse_spec(FLIGHTS)
    [port], log = free_ports(1), folder / "ingest.log"
    own = {"INGEST_PORT": str(port), "MODEL_SPECS_DIR": str(specs), "FEEDBACK_TOKEN_KEY": SECRET, "API_KEYS_FILE": ""}
    process = forked.service("ingest", {**os.environ, **env, **own, **more}, log)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        try:
            _wait(process, client, wait_for, log)
            yield Ingest(process, client, port, log, TokenKeys(SECRET))
        finally:
            process.terminate()
            process.wait(30)


def _wait(process: forked.Service, client: httpx.Client, path: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get(path).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"ingest does not answer {path}: {log.read_text()}")
