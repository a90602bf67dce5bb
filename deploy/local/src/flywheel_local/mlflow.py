"""MLflow's own server on SQLite; artifacts go from clients straight to S3, and stay readable without it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from flywheel_local.errors import InstallFailed
from flywheel_local.server import http_problem

_MAKES_ITS_DATABASE_S = 60.0


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
        """The server's application under uvicorn, one worker, since it serves one machine.

        `mlflow server` would do the same after some 4 s in which it imports its whole command line.
        """
        logging = _package() / "server" / "uvicorn_log_config.yaml"
        listening = ["--host=127.0.0.1", f"--port={self.port}", f"--log-config={logging}"]
        return [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", *listening]

    def environment(self) -> Mapping[str, str]:
        """What `mlflow server` tells its workers, but: no job runners, and nothing told to anybody."""
        return {
            "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{self._database}",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": self.artifacts,
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": self.artifacts,
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "_MLFLOW_SGI_NAME": "uvicorn",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def problem(self) -> str | None:
        """Asks for a list, with patience: the first question has it make its database, so nobody asks another one."""
        question = f"{self.uri}/api/2.0/mlflow/registered-models/search?max_results=1"
        if found := http_problem(question, timeout_s=_MAKES_ITS_DATABASE_S):
            return found
        # Its variables are its own affair: if it no longer knew them, it would keep everything elsewhere.
        return None if self._database.exists() else f"{self.uri} answers, but has no {self._database}"

    @property
    def _database(self) -> Path:
        return self.home / "mlflow" / "mlflow.db"


def _package() -> Path:
    """Where MLflow lies; to import it would take seconds."""
    spec = find_spec("mlflow")
    if spec is None or spec.origin is None:
        raise InstallFailed("the package mlflow is missing; `make setup` installs it")
    return Path(spec.origin).parent
