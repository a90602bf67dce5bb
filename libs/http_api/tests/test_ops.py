import asyncio

from fastapi import FastAPI
from fastapi.testclient import TestClient

from http_api import ops


def client(alive=lambda: None, **checks) -> TestClient:
    app = FastAPI()
    ops.install(app, checks, alive)
    return TestClient(app)


async def fine() -> None:
    return None


async def away() -> str:
    return "no broker at 127.0.0.1:9092; start it with `make up`"


async def broken() -> None:
    raise RuntimeError("secret")


def test_a_service_whose_dependencies_serve_is_ready():
    answer = client(kafka=fine).get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "checks": {"kafka": "ok"}})


def test_a_dependency_that_is_down_is_named_with_what_to_do():
    answer = client(kafka=away, lake=fine).get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unavailable",
        "checks": {"kafka": "no broker at 127.0.0.1:9092; start it with `make up`", "lake": "ok"},
    }


def test_a_check_that_breaks_is_unavailable_without_internals():
    answer = client(kafka=broken).get("/readyz")
    assert answer.status_code == 503
    assert "secret" not in answer.text


def test_a_check_that_hangs_is_unavailable_in_bounded_time(monkeypatch):
    async def hangs() -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(ops, "_CHECK_TIMEOUT_S", 0.02)
    assert "did not answer" in client(kafka=hangs).get("/readyz").json()["checks"]["kafka"]


def test_a_stuck_process_says_why_it_should_be_restarted():
    assert client().get("/healthz").status_code == 200
    answer = client(alive=lambda: "no progress for 60 s").get("/healthz")
    assert (answer.status_code, answer.json()["checks"]["alive"]) == (503, "no progress for 60 s")


def test_metrics_are_served_as_text():
    answer = client().get("/metrics")
    assert answer.status_code == 200
    assert "python_info" in answer.text
