import uuid
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from flywheel_schemas.spec import ModelSpec, parse_spec
from http_api import keys, problems
from lake import Lake, LakeSettings, schema
from lake.append import append_once
from trainer.adapters.dataset_versions import LakeTables, LakeVersions
from trainer.application.upkeep import KeepUp
from trainer.domain.errors import NoSuchModel
from trainer.entrypoints import api, dataset_api

SPEC = parse_spec("""
name: fruit
task: binary
label: {name: ripe, values: ["no", "yes"], positive: "yes"}
features: [{name: weight, type: number}]
""")


class OneModel:
    def spec(self, model: str) -> ModelSpec:
        if model != "fruit":
            raise NoSuchModel(model)
        return SPEC

    def models(self) -> list[str]:
        return ["fruit"]


class NoVersions:
    def versions(self, model: str) -> list[object]:
        return []


def rows(first: int, last: int) -> pa.Table:
    n = last - first + 1
    values: dict[str, list[object]] = {name: [None] * n for name in schema.feedback(SPEC).names}
    values |= {
        "event_id": [str(uuid.uuid5(uuid.NAMESPACE_URL, str(i))) for i in range(first, last + 1)],
        "label": ["yes"] * n,
        "source": ["shop"] * n,
        "kafka_partition": [0] * n,
        "kafka_offset": list(range(first, last + 1)),
        "received_at": [datetime(2026, 3, 1, tzinfo=UTC)] * n,
        "event_date": [date(2026, 3, 1)] * n,
    }
    return pa.table(values, schema=schema.feedback(SPEC))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(LakeSettings(LAKE_URI=tmp_path.as_uri()))
    table = lake.table("fruit", "feedback")
    table.ensure(schema.feedback(SPEC))
    append_once(table, rows(0, 2), "feedback-events/0", 2)
    append_once(table, rows(3, 7), "feedback-events/0", 7)
    return lake


@pytest.fixture
def client(lake: Lake) -> TestClient:
    def now() -> datetime:
        return datetime.now(UTC)

    keep_up = KeepUp(OneModel(), NoVersions(), LakeTables(lake), now)  # type: ignore[arg-type]
    app = FastAPI()
    app.state.api_keys = keys.ApiKeys.load(None)
    problems.install(app)
    api.install_problems(app)
    dataset_api.install(app, dataset_api.Dataset(LakeVersions(lake, now), keep_up, OneModel().spec))
    return TestClient(app)


def test_the_versions_of_the_dataset_are_listed_newest_first(client):
    answer = client.get("/v1/models/fruit/dataset").json()
    assert answer["rows"] == 8
    assert [(one["version"], one["rows"]) for one in answer["versions"]] == [(2, 5), (1, 3), (0, 0)]


def test_a_diff_counts_rows_by_day_source_and_label(client):
    answer = client.get("/v1/models/fruit/dataset/diff?from=1").json()
    assert (answer["from_version"], answer["to_version"], answer["added"]) == (1, 2, 5)
    (change,) = answer["changes"]
    assert (change["day"], change["source"], change["label"]) == ("2026-03-01", "shop", "yes")


def test_a_preview_changes_nothing_and_the_rollback_does_what_it_said(client):
    asked = {"version": 1, "reason": "a bad import", "preview": True}
    previewed = client.post("/v1/models/fruit/dataset/rollback", json=asked).json()
    assert (previewed["version"], previewed["changes"]["removed"]) == (None, 5)
    done = client.post("/v1/models/fruit/dataset/rollback", json=asked | {"preview": False}).json()
    assert (done["version"], done["changes"]) == (3, previewed["changes"])
    after = client.get("/v1/models/fruit/dataset").json()
    assert after["rows"] == 3
    assert (after["versions"][0]["note"], after["versions"][0]["who"]) == ("back to 1: a bad import", "anonymous")


def test_what_cannot_be_is_a_problem(client):
    assert client.get("/v1/models/fruits/dataset").status_code == 404
    gone = client.get("/v1/models/fruit/dataset/diff?from=99")
    assert (gone.status_code, gone.json()["title"]) == (410, "No longer readable")
    newest = client.post("/v1/models/fruit/dataset/rollback", json={"version": 2, "reason": "x"})
    assert newest.status_code == 410
    assert client.post("/v1/models/fruit/dataset/rollback", json={"version": 1}).status_code == 422


def test_upkeep_by_hand_says_what_it_did(client):
    (table,) = client.post("/v1/models/fruit/dataset/upkeep").json()["tables"]
    assert (table["table"], table["files"], table["compacted"], table["indexed"]) == ("feedback", 1, 2, 8)
