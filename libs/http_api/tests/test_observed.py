import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from http_api import ops
from telemetry import metrics, tracing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()

    @app.get("/things/{name}")
    def thing(name: str) -> dict[str, str]:
        if name == "broken":
            raise RuntimeError("it is")
        return {"traceparent": tracing.current_traceparent()}

    async def plain(_: Request) -> Response:
        return Response()

    app.router.routes.append(Route("/plain/{name}", plain))
    ops.install(app, {})
    return TestClient(app, raise_server_exceptions=False)


def counted(line: str) -> float:
    text = metrics.render()[0].decode()
    return sum(float(each.rsplit(" ", 1)[1]) for each in text.splitlines() if each.startswith(line))


def test_a_request_is_counted_by_its_route_and_the_class_of_its_status(client):
    line = 'flywheel_http_request_duration_seconds_count{method="GET",route="/things/{name}",status="2xx"}'
    before = counted(line)
    for name in ("a", "b"):
        assert client.get(f"/things/{name}").status_code == 200
    assert counted(line) == before + 2


def test_a_route_without_the_framework_has_its_name_too(client):
    client.get("/plain/1")
    assert counted('flywheel_http_request_duration_seconds_count{method="GET",route="/plain/{name}",status="2xx"}') == 1


def test_paths_and_methods_that_nobody_serves_make_no_new_series(client):
    client.get("/nowhere/1")
    client.request("BREW", "/nowhere/2")
    text = metrics.render()[0].decode()
    assert "nowhere" not in text
    assert "BREW" not in text
    assert counted('flywheel_http_request_duration_seconds_count{method="_OTHER",route="",status="4xx"}') >= 1


def test_probes_and_scrapes_are_not_counted(client):
    client.get("/healthz")
    assert 'route="/healthz"' not in client.get("/metrics").text


def test_a_request_runs_below_its_callers_trace_though_nobody_records_it(client):
    answer = client.get("/things/a", headers={"traceparent": PARENT}).json()
    assert answer["traceparent"].split("-")[1] == PARENT.split("-")[1]


def test_a_recorded_request_is_a_server_span_by_the_conventions_of_http(client, spans):
    client.get("/things/a?secret=1", headers={"traceparent": PARENT})
    (span,) = spans()
    assert (span.name, span.kind) == ("GET /things/{name}", tracing.SpanKind.SERVER)
    assert format(span.parent.span_id, "016x") == PARENT.split("-")[2]
    shown = {name: span.attributes[name] for name in ("http.request.method", "http.route", "url.path")}
    assert shown == {"http.request.method": "GET", "http.route": "/things/{name}", "url.path": "/things/a"}
    assert span.attributes["http.response.status_code"] == 200
    assert "secret" not in str(dict(span.attributes))


def test_what_breaks_is_an_error_in_the_span_and_a_5xx_in_the_count(client, spans):
    line = 'flywheel_http_request_duration_seconds_count{method="GET",route="/things/{name}",status="5xx"}'
    before = counted(line)
    assert client.get("/things/broken").status_code == 500
    (span,) = spans()
    assert not span.status.is_ok
    assert span.attributes["error.type"] == "500"
    assert counted(line) == before + 1
