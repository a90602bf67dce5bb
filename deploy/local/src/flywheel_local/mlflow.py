"""MLflow's own server on SQLite; artifacts go from clients straight to S3, and stay readable without it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flywheel_local.server import http_problem


@dataclass(frozen=True, slots=True)
class MLflow:
    """The tracking server and registry; `artifacts` is the s3:// root for new experiments."""

    home: Path
    port: int
    artifacts: str
    patience_s: float = 15

    @property
    def name(self) -> str:
        """Name of the process."""
        return "mlflow"

    @property
    def ports(self) -> Mapping[str, int]:
        """The port that clients use."""
        return {"MLFLOW_PORT": self.port}

    @property
    def uri(self) -> str:
        """Address for clients."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Makes the folder of its database."""
        (self.home / "mlflow").mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        """The server's command line: one worker, since it serves one machine."""
        return [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            f"--backend-store-uri=sqlite:///{self.home}/mlflow/mlflow.db",
            f"--default-artifact-root={self.artifacts}",
            f"--artifacts-destination={self.artifacts}",
            "--host=127.0.0.1",
            f"--port={self.port}",
            "--workers=1",
        ]

    def environment(self) -> Mapping[str, str]:
        """No job runners (eight processes that wait for work nobody gives them), and nothing told to anybody."""
        return {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}

    def problem(self) -> str | None:
        """Asks its health page."""
        return http_problem(f"{self.uri}/health")
