"""Which port each process of the stack listens on, and who holds one that is taken."""

import random
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import psutil

# Free ports are drawn from below the range that the kernel hands out to outgoing connections (32768 and up):
# there, a port found free may be somebody's source port a moment later. SeaweedFS also takes port + 10000, so no
# port of the range may be another one's companion.
_FREE_FROM, _FREE_BELOW = 10_500, 20_500
_COMPANION = 10_000


@dataclass(frozen=True, slots=True)
class Ports:
    """One field for each variable that names a port: `ingest_port` is INGEST_PORT."""

    console_port: int = 8000
    ingest_port: int = 8001
    inference_port: int = 8002
    trainer_port: int = 8003
    processor_port: int = 8004
    inference_grpc_port: int = 8081
    kafka_port: int = 9092
    s3_port: int = 8333
    mlflow_port: int = 5000
    prometheus_port: int = 9090

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Ports":
        """The defaults, with what the environment sets. Raises ValueError naming the variable that is no port."""
        chosen: dict[str, int] = {}
        for name in cls.variables():
            if text := environment.get(name):
                if not (text.isdecimal() and 0 < int(text) < 65_536):
                    raise ValueError(f"{name}={text!r} is no port: give a number from 1 to 65535")
                chosen[name.lower()] = int(text)
        return cls(**chosen)

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nobody listens on now, so that a second stack lives beside the first."""
        names = cls.variables()
        return cls(**dict(zip((name.lower() for name in names), free_ports(len(names)), strict=True)))

    @classmethod
    def variables(cls) -> list[str]:
        """Names of the environment variables, such as KAFKA_PORT."""
        return [field.name.upper() for field in fields(cls)]

    def environment(self) -> dict[str, str]:
        """As environment variables."""
        return {name: str(getattr(self, name.lower())) for name in self.variables()}


def free_ports(count: int, avoid: Iterable[int] = ()) -> list[int]:
    """Different free loopback ports p for which p + 10000 is free too."""
    avoided = set(avoid)
    found: list[int] = []
    for port in random.sample(range(_FREE_FROM, _FREE_BELOW), _FREE_BELOW - _FREE_FROM):
        if len(found) == count:
            break
        if port not in avoided and is_free(port) and is_free(port + _COMPANION):
            found.append(port)
    return found


def is_free(port: int) -> bool:
    """Whether a server could listen there on 127.0.0.1. Connections that linger after a stop do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Who listens on a port: command and process id, or that the system does not tell."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        connections = []
    for connection in connections:
        listening = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        if listening and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
            except psutil.Error:
                break
    return "another process (the system does not tell which)"
