"""What holds for every page."""

import asyncio

import pytest

from console.entrypoints import site

from .conftest import client

PAGES = [
    "/",
    "/try",
    "/models",
    "/models/tickets",
    "/models/tickets?beside=1",
    "/models/tickets/versions/2",
    "/models/tickets/promote?version=2",
    "/models/tickets/rollback",
    "/rollouts",
    "/datasets",
    "/datasets/tickets/diff?from=2&to=1",
    "/datasets/tickets/rollback?version=1",
    "/erasures/new",
    "/erasures/x1",
    "/feedback",
    "/feedback/e1",
    "/drift",
    "/alerts",
    "/alerts/letters/1/7",
]


@pytest.mark.parametrize("path", PAGES)
def test_each_page_shows_what_others_say_as_text_and_loads_nothing_inline_or_from_elsewhere(world, path):
    page = client(world).get(path)

    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_every_asset_has_its_integrity_and_is_kept_for_ever(world):
    asked = client(world)
    page = asked.get("/").text
    addresses = [part.split('"')[0] for part in page.split('"/static/')[1:]]

    assert len(addresses) >= 3
    assert page.count("integrity=") == 2
    for address in addresses:
        assert "immutable" in asked.get(f"/static/{address}").headers["cache-control"]


def test_a_table_is_exported_as_it_is_shown(world):
    exported = client(world).get("/datasets?csv=versions&versions.sort=version&versions.desc=1")

    assert exported.headers["content-type"].startswith("text/csv")
    assert [line.split(",")[0] for line in exported.text.splitlines()] == ["version", "2", "1", "0"]


def test_what_is_away_is_said_in_place_of_the_page(world):
    world.kafka_away = True
    page = client(world).get("/feedback")

    assert page.status_code == 503
    assert "Kafka does not answer" in page.text


def test_what_is_not_there_is_404(world):
    assert client(world).get("/models/nothing").status_code == 404
    assert client(world).get("/alerts/letters/0/0").status_code == 404
    assert client(world).get("/datasets/tickets/diff?from=x&to=1").status_code == 404


def test_drift_over_time_is_drawn_and_its_columns_are_exported(world):
    page = client(world).get("/drift").text
    exported = client(world).get("/drift?csv=columns&columns.sort=psi&columns.desc=1").text

    assert "Population stability index over time: scores now 0.1; words now 0.3; chance alone, at most now 0.02" in page
    assert exported.splitlines()[1] == "words,0.3,0.02,0.9"


@pytest.fixture
def slow_world(world, monkeypatch):
    """Its services answer later than a page waits."""
    answer = world.get

    async def slowly(*asked):
        await asyncio.sleep(0.05)
        return await answer(*asked)

    monkeypatch.setattr(world, "get", slowly)
    monkeypatch.setattr(site, "_PATIENCE_S", 0.0)
    return world


def test_who_opens_a_page_sees_at_once_that_it_is_looked_for_and_then_what_was_found(slow_world):
    asked = client(slow_world)

    opened = asked.get("/models", headers={"Accept": "text/html,*/*"})
    fetched = asked.get("/models", headers={"HX-Request": "true"})

    assert opened.status_code == 200
    assert "Looking…" in opened.text
    assert "tickets" not in opened.text
    assert "Looking…" not in fetched.text
    assert "tickets" in fetched.text


def test_an_export_is_given_whole_however_long_it_takes(slow_world):
    exported = client(slow_world).get("/models?csv=models", headers={"Accept": "text/html"})

    assert "tickets" in exported.text
