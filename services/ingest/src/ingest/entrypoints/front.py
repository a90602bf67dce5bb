"""What stands before the framework: the one route whose requests should not pay for a framework's layers."""

from starlette.types import ASGIApp, Receive, Scope, Send

from http_api import problems
from http_api.problems import UNFORESEEN
from telemetry import logging

log = logging.get(__name__)


class Front:
    """Gives POSTs of `path` to `route`, everything else to `app`."""

    def __init__(self, app: ASGIApp, path: str, route: ASGIApp) -> None:
        self._app = app
        self._path = path
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http" or scope["path"] != self._path or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            await self._route(scope, receive, send)
        except Exception:
            # Whatever it is, the client gets an answer and the log the reason, as from the framework.
            log.exception("request_failed", path=self._path)
            await problems.response(UNFORESEEN, self._path)(scope, receive, send)
