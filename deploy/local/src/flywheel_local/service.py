"""Our own services as processes of the stack."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

from flywheel_local.ports import Ports
from flywheel_local.server import http_problem


@dataclass(frozen=True, slots=True)
class Service:
    """`python -m <module>`, listening on the first of its ports and ready when /readyz says so."""

    name: str
    module: str
    ports: Mapping[str, int]
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
        """Its ports, which differ from the stack's for a second copy."""
        return {variable: str(port) for variable, port in self.ports.items()}

    def problem(self) -> str | None:
        """What its /readyz says."""
        return http_problem(f"{self.url}/readyz")

    def copy(self, number: int, ports: Mapping[str, int]) -> "Service":
        """Another one of it, on ports of its own: `stream-processor-2`."""
        return replace(self, name=f"{self.name}-{number}", ports=ports)


def all_services(ports: Ports) -> list[Service]:
    """Every service, in the order in which their addresses are printed."""
    return [
        Service("ingest", "ingest", {"INGEST_PORT": ports.ingest_port}),
        Service("stream-processor", "stream_processor", {"PROCESSOR_PORT": ports.processor_port}),
        Service("trainer", "trainer", {"TRAINER_PORT": ports.trainer_port}),
        Service(
            "inference",
            "inference",
            {"INFERENCE_PORT": ports.inference_port, "INFERENCE_GRPC_PORT": ports.inference_grpc_port},
        ),
        Service("console", "console", {"CONSOLE_PORT": ports.console_port}),
    ]
