"""What operators see: health, readiness, metrics, and an OpenAPI page that says so."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping

import uvicorn
from fastapi import FastAPI

from http_api import ops, problems, server

Check = ops.Check


def application(checks: Mapping[str, Check], alive: Callable[[], str | None]) -> FastAPI:
    """The HTTP application of the processor, which has no routes but the operators'."""
    app = FastAPI(title="Flywheel stream-processor", version="1", description=__doc__)
    problems.install(app)
    ops.install(app, checks, alive)
    return app


class HttpServer(uvicorn.Server):
    """uvicorn inside a loop that others share: signals are theirs."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        """Takes the port. Raises http_api.server.CannotListen."""
        super().__init__(server.configuration(app))
        self._listening = server.listen(host, port, "PROCESSOR_PORT")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
        yield

    async def run_until(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set."""
        serving = asyncio.create_task(self.serve(sockets=[self._listening]))
        await stop.wait()
        self.should_exit = True
        await serving
