"""Runs an application as this process's HTTP server."""

import errno
import gc
import socket
import sys

import uvicorn
from starlette.types import ASGIApp
from telemetry import logging

_GRACEFUL_S = 15
_BACKLOG = 2048
# Short-lived objects of requests make the collector run often and find nothing; a higher threshold
# cuts the tail of the latencies.
_GC_THRESHOLDS = (50_000, 20, 20)
log = logging.get(__name__)


class CannotListenError(Exception):
    """The address cannot be listened on. The text says why, and which variable to set."""


def run(app: ASGIApp, host: str, port: int, *, port_variable: str = "PORT") -> None:
    """Serve `app` until SIGTERM or SIGINT; requests that are running get 15 s to end.

    A port that cannot be had ends the process with a line that names `port_variable`.
    """
    try:
        listening = listen(host, port, port_variable)
    except CannotListenError as error:
        sys.exit(f"error: {error}")
    server = _Server(configuration(app))
    log.info("listening", host=host, port=listening.getsockname()[1])
    server.run(sockets=[listening])
    if not server.started:
        sys.exit(3)


def listen(host: str, port: int, port_variable: str = "PORT") -> socket.socket:
    """A listening socket's address taken. Raises CannotListenError that names `port_variable`."""
    taken = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
    except OSError as error:
        taken.close()
        why = "is taken by another process" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise CannotListenError(f"port {port} on {host} {why}; set {port_variable} to a free port") from error
    taken.set_inheritable(True)
    return taken


def configuration(app: ASGIApp) -> uvicorn.Config:
    """uvicorn as every service here runs it."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACEFUL_S,
        lifespan="on",
    )


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
