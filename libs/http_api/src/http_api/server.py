"""Runs an application as this process's HTTP server."""

import asyncio
import errno
import gc
import socket
import sys
from functools import partial

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from http_api.express import ExpressProtocol, Lane, Turn
from telemetry import logging

_GRACEFUL_S = 15
# How long a kept connection may stay silent before it is closed without a word.
_DRAIN_STEPS, _DRAIN_STEP_S = 50, 0.02
_BACKLOG = 2048
# Short-lived objects of requests make the collector run often and find nothing; a higher threshold
# cuts the tail of the latencies.
_GC_THRESHOLDS = (50_000, 20, 20)
log = logging.get(__name__)


class CannotListenError(Exception):
    """The address cannot be listened on. The text says why, and which variable to set."""


def run(app: ASGIApp, host: str, port: int, *, port_variable: str = "PORT", lane: Lane | None = None) -> None:
    """Serve `app` until SIGTERM or SIGINT; then no connection is accepted, and requests get 15 s to end.

    A client that keeps its connection learns from its next answer that it closes, so it never writes into the void.

    A port that cannot be had ends the process with a line that names `port_variable`. What `lane` takes does not
    reach `app`.
    """
    try:
        listening = listen(host, port, port_variable)
    except CannotListenError as error:
        sys.exit(f"error: {error}")
    draining = _Draining(app)
    config = configuration(draining)
    if lane is not None:
        config.http = partial(  # type: ignore[assignment]
            ExpressProtocol, lane=lane, is_open=lambda: not draining.begun, turn=Turn()
        )
    server = _Server(config)
    server.draining = draining
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


class _Draining:
    """Passes requests on; once `begun`, every answer closes its connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.begun:
            await self._app(scope, receive, send)
            return

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, send_and_close)


class _Server(uvicorn.Server):
    draining: _Draining

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self.draining.begun = True
        for _ in range(_DRAIN_STEPS):
            if not self.server_state.connections:
                break
            await asyncio.sleep(_DRAIN_STEP_S)
        await super().shutdown(sockets=sockets)
