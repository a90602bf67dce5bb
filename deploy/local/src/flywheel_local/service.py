"""Our own services as processes of the stack."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from flywheel_local.ports import Ports
from flywheel_local.server import http_problem


@dataclass(frozen=True, slots=True)
class Service:
    """`python -m <module>`, listening on the first of its ports and ready when /readyz says so.

    `folders` are what it keeps on disk: variable that names the folder, its name below `<home>/<service>`.
    """

    name: str
    module: str
    ports: Mapping[str, int]
    home: Path
    folders: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = 30

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{next(iter(self.ports.values()))}"

    def prepare(self) -> None:
        """Nothing to prepare."""

    def command(self) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", self.module]

    def environment(self) -> Mapping[str, str]:
        """Its ports and folders, which a second copy does not share."""
        ports = {variable: str(port) for variable, port in self.ports.items()}
        return ports | {variable: str(self.home / self.name / folder) for variable, folder in self.folders.items()}

    def problem(self) -> str | None:
        """What its /readyz says."""
        return http_problem(f"{self.url}/readyz")

    def copy(self, number: int, ports: Mapping[str, int]) -> "Service":
        """Another one of it, on ports of its own: `stream-processor-2`."""
        return replace(self, name=f"{self.name}-{number}", ports=ports)


def all_services(home: Path, ports: Ports) -> list[Service]:
    """Every service, in the order in which their addresses are printed."""
    inference_ports = {"INFERENCE_PORT": ports.inference_port, "INFERENCE_GRPC_PORT": ports.inference_grpc_port}
    inference_folders = {"INFERENCE_CACHE_DIR": "models", "INFERENCE_SPOOL_DIR": "spool"}
    return [
        Service("ingest", "ingest", {"INGEST_PORT": ports.ingest_port}, home),
        Service("stream-processor", "stream_processor", {"PROCESSOR_PORT": ports.processor_port}, home),
        Service("trainer", "trainer", {"TRAINER_PORT": ports.trainer_port}, home),
        Service("inference", "inference", inference_ports, home, inference_folders),
        Service("console", "console", {"CONSOLE_PORT": ports.console_port}, home),
    ]
