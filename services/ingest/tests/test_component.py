"""What a page needs of this service to show the feedback component."""

import base64
import hashlib

from http_api import keys

from .conftest import EVENT_ID

MANIFEST = "/assets/feedback/v1/manifest.json"


async def test_the_manifest_names_a_file_with_the_integrity_that_it_says(service):
    manifest = (await service.client.get(MANIFEST)).json()
    built = await service.client.get(manifest["path"])

    digest = base64.b64encode(hashlib.sha384(built.content).digest()).decode()
    assert manifest["integrity"] == f"sha384-{digest}"
    assert manifest["bytes"] == len(built.content)
    assert hashlib.sha256(built.content).hexdigest()[:12] in manifest["path"]


async def test_any_page_may_load_it_and_keep_it(service):
    manifest = await service.client.get(MANIFEST)
    built = await service.client.get(manifest.json()["path"])

    assert built.headers["content-type"].startswith("text/javascript")
    assert built.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert manifest.headers["cache-control"] == "public, max-age=60"
    assert {each.headers["access-control-allow-origin"] for each in (built, manifest)} == {"*"}


async def test_no_other_file_is_served_there(service):
    for name in ("nothing.js", "..%2Fv1%2Fmanifest.json", "..%2f..%2f..%2fhttp.py"):
        answer = await service.client.get(f"/assets/feedback/v1/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_a_form_learns_which_answers_there_are(service):
    assert (await service.client.get("/v1/models/flights/label")).json() == {
        "model": "flights",
        "task": "binary",
        "name": "late",
        "values": ["on_time", "late"],
        "range": None,
    }
    delays = (await service.client.get("/v1/models/delays/label")).json()
    assert (delays["values"], delays["range"]) == (None, [-120, 2000])


async def test_the_label_of_a_model_that_was_added_this_moment_is_told(service):
    service.appearing = [
        "{name: trains, task: binary, label: {name: late, values: ['no', 'yes'], positive: 'yes'},"
        " features: [{name: km, type: number}]}"
    ]

    assert (await service.client.get("/v1/models/trains/label")).json()["values"] == ["no", "yes"]


async def test_the_label_of_no_model_is_a_problem_that_names_the_models(service):
    answer = await service.client.get("/v1/models/trains/label")

    assert answer.status_code == 404
    assert "delays, flights" in answer.json()["detail"]


async def test_a_key_that_may_teach_may_ask_what_it_taught_and_nothing_else_may(make_service, keys_file):
    teach, _ = keys.create(keys_file, ["feedback:write"])
    predict, _ = keys.create(keys_file, ["predict"])
    client = make_service(keys_file=keys_file).client

    for path, found in ((f"/v1/feedback/{EVENT_ID}", 404), ("/v1/models/flights/label", 200)):
        assert (await client.get(path, headers={"X-API-Key": teach})).status_code == found
        assert (await client.get(path, headers={"X-API-Key": predict})).status_code == 403
        assert (await client.get(path)).status_code == 401
