"""W3C trace context of requests."""

from starlette.types import ASGIApp, Receive, Scope, Send

from telemetry import tracing


class Traced:
    """Runs every HTTP request in a span below the caller's `traceparent`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)
        with tracing.span(f"{scope['method']} {scope['path']}", kind=tracing.SpanKind.SERVER, parent=parent):
            await self._app(scope, receive, send)
