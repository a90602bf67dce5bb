from datetime import UTC, datetime

import pytest

from http_api import key_file
from ingest.application.ports import Sighting, SourceAway

from .conftest import EVENT_ID

RECEIVED = datetime(2026, 11, 24, 12, tzinfo=UTC)
PATH = f"/v1/feedback/{EVENT_ID}"


def seen(status: str, **more: object) -> dict[str, Sighting]:
    return {EVENT_ID: Sighting(EVENT_ID, "flights", status, RECEIVED, **more)}


async def test_what_waits_in_kafka_is_received(service):
    service.places.position = 7
    service.places.in_log = seen("received")
    answer = await service.client.get(PATH)
    assert answer.status_code == 200
    assert answer.json() == {
        "event_id": EVENT_ID,
        "model": "flights",
        "status": "received",
        "received_at": "2026-11-24T12:00:00Z",
        "trained_into": [],
        "serving": False,
    }


async def test_what_is_stored_names_its_dataset_version_and_what_was_trained_on_it(service):
    service.places.in_lake = seen("stored", dataset_version=12)
    service.places.versions = {EVENT_ID: ["6", "7"]}
    service.places.champion = "7"
    told = (await service.client.get(PATH)).json()
    assert (told["status"], told["dataset_version"], told["trained_into"], told["serving"]) == (
        "stored",
        12,
        ["6", "7"],
        True,
    )


async def test_versions_that_do_not_serve_are_told_from_those_that_do(service):
    service.places.in_lake = seen("stored", dataset_version=12)
    service.places.versions = {EVENT_ID: ["6"]}
    service.places.champion = "7"
    assert (await service.client.get(PATH)).json()["serving"] is False


async def test_what_is_quarantined_says_why(service):
    service.places.in_lake = seen("quarantined", reason="label disagrees with 40 others")
    told = (await service.client.get(PATH)).json()
    assert (told["status"], told["reason"]) == ("quarantined", "label disagrees with 40 others")


async def test_what_could_not_be_processed_is_dead_lettered(service):
    service.places.dead = seen("dead_lettered", reason="no such model")
    service.places.in_log = seen("received")
    told = (await service.client.get(PATH)).json()
    assert (told["status"], told["reason"]) == ("dead_lettered", "no such model")


async def test_what_is_nowhere_is_404(service):
    answer = await service.client.get(PATH)
    assert answer.status_code == 404
    assert EVENT_ID in answer.json()["detail"]


async def test_an_id_that_is_no_uuid_is_422(service):
    answer = await service.client.get("/v1/feedback/7")
    assert answer.status_code == 422
    assert "path parameter event_id" in answer.json()["errors"][0]["detail"]


async def test_with_kafka_away_what_is_stored_is_still_told(service):
    service.places.log_away = SourceAway("kafka")
    service.places.in_lake = seen("stored", dataset_version=1)
    assert (await service.client.get(PATH)).json()["status"] == "stored"


async def test_with_the_lake_away_what_waits_is_still_told(service):
    service.places.lake_away = SourceAway("lake")
    service.places.in_log = seen("received")
    assert (await service.client.get(PATH)).json()["status"] == "received"


@pytest.mark.parametrize("away", ["log_away", "lake_away"])
async def test_what_is_not_found_while_a_store_is_away_is_not_called_unknown(service, away):
    setattr(service.places, away, SourceAway("away"))
    answer = await service.client.get(PATH)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_reading_needs_the_role(make_service, keys_file):
    reader, _ = key_file.create(keys_file, ["read"])
    service = make_service(keys_file=keys_file)
    assert (await service.client.get(PATH)).status_code == 401
    assert (await service.client.get(PATH, headers={"X-API-Key": reader})).status_code == 404
