"""Where the command finds a stack without being told: what `make up` wrote to `.flywheel/env`."""

from collections.abc import Mapping, MutableMapping
from pathlib import Path

from flywheel_local import env_file


def env_path(environment: Mapping[str, str], folder: Path) -> Path:
    """`env` in FLYWHEEL_HOME, else in `.flywheel` of the folder."""
    home = environment.get("FLYWHEEL_HOME")
    return (Path(home) if home else folder / ".flywheel") / "env"


def complete(environment: MutableMapping[str, str], folder: Path) -> None:
    """Adds what the running stack's file sets and the environment does not; the environment has the last word."""
    for name, value in env_file.read(env_path(environment, folder)).items():
        environment.setdefault(name, value)


def service_url(environment: Mapping[str, str], service: str) -> str:
    """Where INGEST, INFERENCE, TRAINER, PROCESSOR or CONSOLE answers, without a slash at its end."""
    port = environment.get(f"{service}_PORT") or str(_PORTS[service])
    return (environment.get(f"{service}_URL") or f"http://127.0.0.1:{port}").rstrip("/")


_PORTS = {"CONSOLE": 8000, "INGEST": 8001, "INFERENCE": 8002, "TRAINER": 8003, "PROCESSOR": 8004}
