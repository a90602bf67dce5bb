from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from console.application.show_overview import ShowOverview
from console.domain.overview import Readiness, ServedModel
from console.entrypoints import pages
from http_api import keys, problems


class Quiet:
    async def readiness(self) -> tuple[Readiness, ...]:
        return (Readiness("ingest", reachable=True, problems={"kafka": "<script>alert(1)</script>"}),)

    async def served(self) -> tuple[ServedModel, ...]:
        return ()


def client(keys_file: Path | None = None) -> TestClient:
    app = FastAPI()
    problems.install(app)
    pages.install(app, ShowOverview(Quiet(), Quiet()), keys.ApiKeys.load(keys_file))
    return TestClient(app)


def test_what_a_service_says_is_shown_as_text_never_as_markup():
    page = client().get("/")

    assert page.status_code == 200
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


def test_a_page_loads_nothing_from_elsewhere():
    page = client().get("/")

    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert client().get("/static/console.css").status_code == 200


def test_where_keys_are_in_use_a_browser_is_asked_for_one(tmp_path):
    file = tmp_path / "keys.json"
    secret, _ = keys.create(file, ["read"])
    asked = client(file).get("/")

    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Basic")
    assert client(file).get("/", auth=("anyone", secret)).status_code == 200


def test_a_key_without_the_role_read_sees_nothing(tmp_path):
    file = tmp_path / "keys.json"
    secret, _ = keys.create(file, ["predict"])

    assert client(file).get("/", auth=("anyone", secret)).status_code == 403
