"""Each request as a span and in a histogram, by the semantic conventions of HTTP, the same in every service."""

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from telemetry import metrics, tracing

# What probes and scrapers ask all day tells nothing of the people who are served.
OPERATORS = frozenset({"/healthz", "/readyz", "/metrics"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_DURATION = metrics.histogram(
    "flywheel_http_request_duration_seconds",
    "From a request's arrival to the head of its response; status by class, such as 2xx.",
    ("method", "route", "status"),
)


class Observed:
    """Runs every request below the caller's `traceparent`. Its route names it, so no label grows with what is asked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection scope."""
        if scope["type"] != "http" or scope["path"] in OPERATORS:
            await self._app(scope, receive, send)
            return
        began, status, seconds = perf_counter(), 500, 0.0

        async def noting(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], perf_counter() - began
            await send(message)

        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        with server_span(method, scope) as span:
            try:
                await self._app(scope, receive, noting)
            finally:
                route = _route_of(scope)
                end(span, status, f"{method} {route}".rstrip(), route)
                _DURATION.labels(method, route, f"{status // 100}xx").observe(seconds or perf_counter() - began)


def server_span(name: str, scope: Scope) -> tracing.Running:
    """The span of the request that `scope` describes; `end` completes it."""
    parent = next((value.decode("latin-1") for key, value in scope["headers"] if key == b"traceparent"), None)
    return tracing.span(
        name,
        kind=tracing.SpanKind.SERVER,
        parent=parent,
        attributes=_attributes(scope) if tracing.is_recording() else None,
    )


def end(span: tracing.Span, status: int, name: str, route: str) -> None:
    """Say how the request ended; `name` and `route` are known only after routing."""
    if not span.is_recording():
        return
    span.update_name(name)
    span.set_attributes({"http.response.status_code": status, **({"http.route": route} if route else {})})
    if status >= 500:
        span.set_status(tracing.Status(tracing.StatusCode.ERROR))
        span.set_attribute("error.type", str(status))


def _route_of(scope: Scope) -> str:
    """The template of the path; empty where nothing matched. FastAPI names the route of its own routes only."""
    if "route" in scope:
        return str(scope["route"].path)
    endpoint = scope.get("endpoint")
    routes = scope["router"].routes if endpoint is not None else ()
    return next((str(route.path) for route in routes if getattr(route, "endpoint", None) is endpoint), "")


def _attributes(scope: Scope) -> dict[str, str | int]:
    server, client = scope.get("server"), scope.get("client")
    found: dict[str, str | int] = {
        "http.request.method": scope["method"],
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
    }
    if server:
        found |= {"server.address": server[0], "server.port": server[1]}
    if client:
        found["client.address"] = client[0]
    return found
