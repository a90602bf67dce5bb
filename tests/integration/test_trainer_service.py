"""The trainer as a process: its API, its worker and the commands that people give it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from flywheel_local.ports import free_ports
from flywheel_schemas.spec import dump_spec
from flywheel_schemas.topics import MODEL_UPDATED
from kafka_runtime import cloud_events, tail
from kafka_runtime.settings import KafkaSettings

Lab = Any


@pytest.fixture(scope="module")
def service(shared_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    [port], home = free_ports(1), tmp_path_factory.mktemp("trainer")
    with pytest.MonkeyPatch.context() as patch, (home / "trainer.log").open("wb") as log:
        patch.setenv("TRAINER_PORT", str(port))
        patch.delenv("TRAINER_URL", raising=False)
        patch.setenv("FLYWHEEL_HOME", str(home))  # a stack that was once started here is not meant
        process = subprocess.Popen([sys.executable, "-m", "trainer"], stderr=log, env=os.environ.copy())
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until_ready(client, process)
            yield client
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in {0, -signal.SIGTERM}  # uvicorn ends by the signal once it has closed everything


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    return shared_lab.anew()


def wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail("the trainer did not become ready")


def flywheel(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flywheel_cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, env=os.environ.copy(), check=False)


def test_a_model_is_added_retrained_and_reproduced_by_commands(lab: Lab, service: httpx.Client, tmp_path: Path) -> None:
    spec_file, base_file = tmp_path / "spec.yaml", tmp_path / "base.csv"
    spec_file.write_text(dump_spec(lab.world.spec))
    lab.world.frame(4000).write_csv(base_file)

    added = flywheel("model", "add", str(spec_file), "--base", str(base_file), "--json")
    assert added.returncode == 0, added.stderr
    assert json.loads(added.stdout)["outcome"] == "promoted"
    again = flywheel("model", "add", str(spec_file), "--base", str(base_file))
    assert again.returncode == 0, again.stderr
    assert "exactly these rows" in again.stdout
    assert [version.version for version in lab.registry.versions(lab.model)] == ["1"]

    taught = lab.world.corrections()
    retrained = flywheel("retrain", lab.model, "--reason", "the world turned", "--wait", "--json")
    assert retrained.returncode == 0, retrained.stderr
    assert json.loads(retrained.stdout)["outcome"] == "promoted"
    champion = lab.registry.champion(lab.model)
    assert (champion.version, champion.trigger_id) == ("2", json.loads(retrained.stdout)["trigger_id"])
    run = lab.registry.run_for_trigger(lab.model, champion.trigger_id)
    assert (run.name, run.version) == ("asked for by hand: the world turned (anonymous)", "2")

    same = flywheel("model", "reproduce", lab.model)
    assert same.returncode == 0, same.stderr
    assert "byte-identical" in same.stdout
    shown = json.loads(flywheel("model", "show", lab.model, "2", "--json").stdout)
    assert shown["state"] == "promoted"
    assert [gate["name"] for gate in shown["gates"]] == [
        "metric",
        "worst_slice",
        "calibration",
        "size",
        "latency",
        "compatibility",
    ]
    assert shown["erased_rows"] == 0
    listed = [json.loads(line) for line in flywheel("model", "rows", lab.model).stdout.splitlines()]
    assert [row["event_id"] for row in listed] == sorted(taught)
    assert {(row["kind"], row["source"]) for row in listed} == {("correction", "test")}


def test_a_version_tells_what_it_was_made_of(lab: Lab, service: httpx.Client) -> None:
    lab.world.base()
    lab.add()
    taught = sorted(lab.world.corrections())
    lab.retrain(lab.world.trigger())
    told = service.get(f"/v1/models/{lab.model}/versions/2").json()
    assert (told["state"], told["judged_against"]) == ("promoted", "1")
    assert told["rows_by_source"] == {"base": 4000, "test": 3000}
    assert set(told["dataset_versions"]) == {"base", "feedback", "predictions"}
    assert told["parameters"]["num_leaves"] == 15
    assert told["rounds"] > 0
    assert {"lightgbm", "numpy"} <= set(told["libraries"])
    metric = next(gate for gate in told["gates"] if gate["name"] == "metric")
    assert metric["figures"]["low"] < metric["figures"]["gain"] < metric["figures"]["high"]
    first = service.get(f"/v1/models/{lab.model}/versions/2/rows", params={"limit": 2500})
    second = service.get(first.links["next"]["url"])
    assert "next" not in second.links
    listed = [json.loads(line)["event_id"] for page in (first, second) for line in page.text.splitlines()]
    assert listed == taught
    assert service.get(f"/v1/models/{lab.model}/versions/9").status_code == 404


def test_the_trace_of_whoever_asked_reaches_model_updated(lab: Lab, service: httpx.Client) -> None:
    lab.world.base()
    traced = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    service.post(f"/v1/models/{lab.model}/retrain", json={"reason": "first"}, headers=traced)
    deadline = time.monotonic() + 60
    while (event := lab.latest()) is None or event.action.value == "registered":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    record = tail.latest_by_key(KafkaSettings(), MODEL_UPDATED)[lab.model]
    assert str(cloud_events.traceparent(record.headers)).startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")


def test_what_cannot_be_done_is_answered_with_what_to_do(lab: Lab, service: httpx.Client) -> None:
    unknown = service.post("/v1/models/nobody/retrain", json={"reason": "x"})
    assert unknown.status_code == 404
    assert unknown.headers["content-type"] == "application/problem+json"
    assert "flywheel model add" in unknown.json()["detail"]
    nothing = service.post(f"/v1/models/{lab.model}/rollback", json={"reason": "x"})
    assert (nothing.status_code, nothing.json()["title"]) == (409, "Not allowed now")
    missing = service.post(f"/v1/models/{lab.model}/promote", json={"version": "9", "reason": "x"})
    assert missing.status_code == 404
    wrong = service.post(f"/v1/models/{lab.model}/promote", json={"version": "x", "raeson": "x"})
    assert wrong.status_code == 422
    assert {error["pointer"] for error in wrong.json()["errors"]} == {"/version", "/reason", "/raeson"}
    paths = service.get("/openapi.json").json()["paths"]
    assert {"/v1/models/{model}/retrain", "/v1/models/{model}/promote", "/v1/models/{model}/rollback"} <= set(paths)
    assert service.get(f"/v1/models/{lab.model}/runs").json() == {"model": lab.model, "running": None, "runs": []}
    assert "flywheel_training_runs_total" in service.get("/metrics").text


def test_a_wrong_base_file_stores_nothing(lab: Lab, service: httpx.Client, tmp_path: Path) -> None:
    spec = lab.world.spec.model_copy(update={"name": f"{lab.model}-x"})
    spec_file, base_file = tmp_path / "spec.yaml", tmp_path / "base.csv"
    spec_file.write_text(dump_spec(spec))
    base_file.write_text("carrier,distance,late\nUA,1,late\nZZ,999,late\n")
    refused = flywheel("model", "add", str(spec_file), "--base", str(base_file))
    assert refused.returncode == 1
    assert "row 3, carrier: 'ZZ' is not allowed; allowed are UA, AA, B6" in refused.stderr
    assert "row 3, distance: 999 is out of range 0 to 10" in refused.stderr
    assert lab.world.lake.specs.get(spec.name) is None
