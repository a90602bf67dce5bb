"""What the stack runs itself, what it was given, and the environment that every process and client gets."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flywheel_local import env_file
from flywheel_local.ports import Ports, free_ports, is_free
from flywheel_local.server import repository

EMBEDDED = "FLYWHEEL_EMBEDDED"
LAKE_BUCKET, ARTIFACT_BUCKET = "flywheel", "mlflow"
# The variable that, when set, says that we need not run the server ourselves.
_ADDRESS_OF = {"kafka": "KAFKA_BOOTSTRAP_SERVERS", "s3": "S3_ENDPOINT_URL", "mlflow": "MLFLOW_TRACKING_URI"}
# What `make up` decides; of these nothing reaches a process from the shell by accident.
_DECIDED = ("KAFKA_", "S3_", "AWS_", "MLFLOW_", "LAKE_URI", "FEEDBACK_TOKEN_KEY", "MODEL_", "API_KEYS_FILE", EMBEDDED)
_KEPT = ("AWS_CA_BUNDLE",)


@dataclass(frozen=True)
class Configuration:
    """`given` are variables that the stack takes as they are: addresses of servers that exist, settings of services."""

    home: Path
    ports: Ports
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def embedded(self) -> frozenset[str]:
        """Which of kafka, s3 and mlflow the stack runs itself: those whose address nobody gave."""
        return frozenset(name for name, variable in _ADDRESS_OF.items() if not self.given.get(variable))

    @property
    def env_path(self) -> Path:
        """Where the environment is written for clients."""
        return self.home / "env"

    def environment(self) -> dict[str, str]:
        """Every variable that a service or client needs; makes the secrets the first time."""
        s3 = f"http://127.0.0.1:{self.ports.s3_port}"
        values = {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.ports.kafka_port}",
            "S3_ENDPOINT_URL": s3,
            "AWS_REGION": "us-east-1",
            "LAKE_URI": f"s3://{LAKE_BUCKET}/lake",
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{self.ports.mlflow_port}",
            "MODEL_ARTIFACTS_URI": f"s3://{ARTIFACT_BUCKET}",
            "MODEL_SPECS_DIR": str(repository() / "schemas" / "models"),
            **self.secrets(),
            **self._urls(),
            **self.ports.environment(),
            **self.given,
        }
        # The names under which other S3 clients look for the same.
        values |= {"MLFLOW_S3_ENDPOINT_URL": values["S3_ENDPOINT_URL"], "AWS_ENDPOINT_URL": values["S3_ENDPOINT_URL"]}
        values |= {"AWS_DEFAULT_REGION": values["AWS_REGION"]}
        return values | {EMBEDDED: ",".join(sorted(self.embedded))}

    def secrets(self) -> dict[str, str]:
        """Made once and kept, so that tokens and data outlive a restart."""
        path = self.home / "secrets"
        kept = env_file.read(path)
        wanted = {"FEEDBACK_TOKEN_KEY": secrets.token_hex(32)}
        if "s3" in self.embedded:
            wanted |= {"AWS_ACCESS_KEY_ID": "flywheel", "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)}
        if missing := {name: value for name, value in wanted.items() if name not in kept}:
            kept |= missing
            env_file.write(path, kept)
        return {name: kept[name] for name in wanted}

    def inner_ports(self, server: str, count: int) -> list[int]:
        """Ports that a server uses for itself: last time's where they are free, since it may remember them."""
        path = self.home / "inner-ports"
        kept = env_file.read(path)
        ports = [int(port) for port in kept.get(server, "").split(",") if port]
        if len(ports) != count or not all(is_free(port) and is_free(port + 10_000) for port in ports):
            others = {int(port) for name, text in kept.items() if name != server for port in text.split(",")}
            ports = free_ports(count, others | {int(port) for port in self.ports.environment().values()})
            env_file.write(path, kept | {server: ",".join(map(str, ports))})
        return ports

    def _urls(self) -> dict[str, str]:
        http = {name: port for name, port in self.ports.environment().items() if name.removesuffix("_PORT") in _HTTP}
        return {name.replace("_PORT", "_URL"): f"http://127.0.0.1:{port}" for name, port in http.items()}


_HTTP = ("INGEST", "INFERENCE", "TRAINER", "PROCESSOR", "CONSOLE")


def from_shell(home: Path, environment: Mapping[str, str], alive: bool) -> Configuration:
    """What `make up` was asked for. While something of the stack is alive, its ports and addresses hold on.

    Addresses in the shell that are the running stack's own (somebody sourced `.flywheel/env`) are not taken
    for servers of somebody else's.
    """
    recorded = env_file.read(home / "env")
    own = {_ADDRESS_OF[name] for name in recorded.get(EMBEDDED, "").split(",") if name}
    given = {
        name: value
        for name, value in environment.items()
        if name in _TAKEN_FROM_SHELL and value and not (name in own and value == recorded.get(name))
    }
    if "S3_ENDPOINT_URL" not in given:
        given = {name: value for name, value in given.items() if not name.startswith("AWS_")}
    given |= {name: str(Path(given[name]).resolve()) for name in _PATHS if name in given}
    ports = Ports.from_environment({**(recorded if alive else {}), **environment})
    return Configuration(home, ports, given)


_TAKEN_FROM_SHELL = frozenset(
    [
        *_ADDRESS_OF.values(),
        *("KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"),
        *("KAFKA_SSL_CA_LOCATION", "KAFKA_PARTITIONS", "KAFKA_PARTITIONS_CONTROL"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"),
        *("LAKE_URI", "MODEL_ARTIFACTS_URI", "MODEL_SPECS_DIR", "FEEDBACK_TOKEN_KEY", "API_KEYS_FILE"),
    ]
)
# Relative ones mean the folder that the shell stood in, not the one that the processes run in.
_PATHS = ("MODEL_SPECS_DIR", "API_KEYS_FILE", "KAFKA_SSL_CA_LOCATION")


def inherited(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """What processes of the stack take over from the shell: all but what the stack decides."""
    shell = os.environ if environment is None else environment
    return {name: value for name, value in shell.items() if name in _KEPT or not name.startswith(_DECIDED)}
