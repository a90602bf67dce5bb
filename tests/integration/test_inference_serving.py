"""Inference as a process of its own against a real Kafka, object store and registry."""

import dataclasses
import hashlib
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.http import http
from tests.integration.inference_bench import Load, Replica, Workshop, predictions_by_partition
from tests.own_kafka import own_kafka
from tests.waiting import until

NOWHERE = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
# uvicorn ends by the signal it was sent once all is done.
ENDED_BY_SIGTERM = (0, -signal.SIGTERM)


def test_versions_are_swapped_under_load_without_a_failed_request(stack: Any, replica: Replica) -> None:
    workshop = Workshop(stack.env)
    versions = [workshop.register() for _ in range(2)]
    workshop.promote(versions[0])
    replica.ready(workshop.name)
    with Load(replica, workshop.name) as load:
        for turn in range(1, 9):
            version = versions[turn % 2]
            workshop.announce(version)
            until(lambda wanted=version.version: replica.champion(workshop.name) == wanted, what="the swap")
            answered = len(load.answers)
            until(lambda n=answered: len(load.answers) > n + 50, what="answers after the swap")
    assert load.failures == []
    assert {answer["model_version"] for _, answer in load.answers} == {"1", "2"}
    for instance, answer in load.answers[:: max(1, len(load.answers) // 300)]:
        assert answer["scores"]["late"] == workshop.score(answer["model_version"], instance)


def test_a_replica_that_is_told_to_end_answers_all_that_it_was_asked(stack: Any, replica: Replica) -> None:
    workshop = Workshop(stack.env)
    workshop.promote(workshop.register())
    replica.ready(workshop.name)
    with Load(replica, workshop.name, clients=12) as load:
        until(lambda: len(load.answers) > 200, what="load")
        assert replica.end() in ENDED_BY_SIGTERM
    assert load.failures == []
    delivered = [one for partition in predictions_by_partition(stack.kafka, workshop.name) for one in partition]
    assert sorted(answer["prediction_id"] for _, answer in load.answers) == sorted(delivered)


def test_it_starts_without_kafka_without_the_registry_and_without_both_but_not_without_a_copy_too(
    stack: Any, replica: Replica
) -> None:
    workshop = Workshop(stack.env)
    workshop.promote(workshop.register())
    instance = {"carrier": "UA", "distance": 5.0}
    away = {
        "no Kafka": {"KAFKA_BOOTSTRAP_SERVERS": NOWHERE["KAFKA_BOOTSTRAP_SERVERS"]},
        "no registry": {"MLFLOW_TRACKING_URI": NOWHERE["MLFLOW_TRACKING_URI"]},
    }
    for what, missing in away.items():
        replica.start(**missing, INFERENCE_CACHE_DIR=str(replica.home / what))
        until(lambda: replica.champion(workshop.name) == "1", what=f"a champion with {what}")
        until(lambda: replica.complaint(workshop.name) is None, what=f"readiness with {what}")
        assert replica.predict(workshop.name, instance).status_code == 200
        replica.end(signal.SIGKILL)  # a copy must be there however the process ended

    replica.ready(
        workshop.name,
        **NOWHERE,
        S3_ENDPOINT_URL="http://127.0.0.1:1",
        INFERENCE_CACHE_DIR=str(replica.home / "no Kafka"),
    )
    [answer] = replica.predict(workshop.name, instance).json()["predictions"]
    assert answer["scores"]["late"] == workshop.score("1", instance)
    replica.end(signal.SIGKILL)

    replica.start(**NOWHERE, INFERENCE_CACHE_DIR=str(replica.home / "nothing"))
    until(lambda: "does not answer" in replica.get("/readyz").text, what="a reason")
    unready = replica.get("/readyz")
    assert unready.status_code == 503
    for word in ("registry", "model-updated", "no copy", "MLFLOW_TRACKING_URI", "KAFKA_BOOTSTRAP_SERVERS"):
        assert word in unready.json()["checks"]["models"]
    assert replica.predict(workshop.name, instance).status_code == 404
    assert replica.get("/healthz").status_code == 200


def test_a_damaged_artifact_is_refused_and_told_of_and_the_old_version_serves_on(stack: Any, replica: Replica) -> None:
    workshop = Workshop(stack.env)
    first, second = workshop.register(), workshop.register()
    workshop.promote(first)
    replica.ready(workshop.name)
    text = workshop.registry.artifacts.get(second.artifact_uri, "model.txt")
    workshop.registry.artifacts.put_all(second.artifact_uri, {"model.txt": text[:-200]})
    workshop.promote(second)

    def refused() -> bool:
        return any(v["state"] == "refused" for v in replica.get(f"/v1/models/{workshop.name}").json()["versions"])

    until(refused, what="a refusal")
    shown = replica.get(f"/v1/models/{workshop.name}").json()
    assert shown["champion"] == "1"
    [reason] = [version["reason"] for version in shown["versions"] if version["version"] == "2"]
    assert "sha256" in reason
    assert replica.predict(workshop.name, {"carrier": "AA"}).json()["predictions"][0]["model_version"] == "1"
    assert f"{workshop.name} version 2" in str(replica.complaint(workshop.name))
    assert replica.get("/readyz").status_code == 503
    metrics = replica.get("/metrics").text
    assert f'flywheel_inference_refused_total{{kind="corrupt",model="{workshop.name}"}}' in metrics
    workshop.registry.artifacts.put_all(second.artifact_uri, {"model.txt": text})
    workshop.announce(second)
    until(lambda: replica.champion(workshop.name) == "2", what="the mended version")
    assert replica.complaint(workshop.name) is None


def test_a_file_that_crashes_lightgbm_takes_nothing_down(stack: Any, replica: Replica) -> None:
    workshop = Workshop(stack.env)
    first, second = workshop.register(), workshop.register()
    workshop.promote(first)
    replica.ready(workshop.name)
    half = workshop.registry.artifacts.get(second.artifact_uri, "model.txt")[:1500]
    workshop.registry.artifacts.put_all(second.artifact_uri, {"model.txt": half})
    workshop.announce(dataclasses.replace(second, artifact_sha256=hashlib.sha256(half).hexdigest()))
    until(lambda: "crashed" in str(replica.complaint(workshop.name)), what="a refusal")
    assert replica.predict(workshop.name, {"carrier": "AA"}).json()["predictions"][0]["model_version"] == "1"
    workshop.announce(first)
    until(lambda: replica.complaint(workshop.name) is None, what="the end of the complaint")


def test_bad_requests_get_problems_that_name_what_to_mend(stack: Any, replica: Replica) -> None:
    workshop = Workshop(stack.env)
    replica.env["MODEL_SPECS_DIR"] = str(replica.home / "specs")
    (replica.home / "specs").mkdir()
    (replica.home / "specs/later.yaml").write_text(
        "name: later\ntask: regression\nlabel: {name: y}\nfeatures: [{name: x, type: number}]\n"
    )
    workshop.promote(workshop.register())
    replica.ready(workshop.name)
    good, path = {"carrier": "UA"}, f"/v1/models/{workshop.name}/predict"
    response = replica.predict(workshop.name, good, good, good, {"carrier": "ZZ", "distance": -1})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in response.json()["errors"]] == [
        "/instances/3/carrier",
        "/instances/3/distance",
    ]
    assert replica.predict("nobody", good).status_code == 404
    until(lambda: replica.predict("later", {"x": 1}).status_code == 503, what="a known model")
    assert "promoted" in replica.predict("later", {"x": 1}).json()["detail"]

    def post(body: bytes, kind: str = "application/json", query: str = "") -> httpx.Response:
        return http.post(f"{replica.url}{path}{query}", content=body, headers={"content-type": kind})

    assert post(b"{}", "text/plain").status_code == 415
    assert post(b"{").status_code == 400
    assert post(b" " * (16 * 1024 * 1024 + 1)).status_code == 413
    assert post(b'{"instances":[{"carrier":"UA"}]}', query="?explain=maybe").status_code == 422
    for body in (
        b"\xff",
        b"[" * 200_000,
        b'{"instances":[{"carrier":NaN}]}',
        b'{"instances":[{"carrier":"UA"}]}x',
        b"",
    ):
        assert post(body).status_code == 400
    explained = post(b'{"instances":[{"carrier":"UA"}]}', query="?explain=true").json()["predictions"][0]
    assert set(explained["contributions"]) == {"carrier", "distance"}
    paths = replica.get("/openapi.json").json()["paths"]
    assert set(paths["/v1/models/{model}/predict"]["post"]["responses"]) >= {"200", "404", "422", "503"}
    large = replica.predict(workshop.name, *[good] * 3000).json()["predictions"]
    assert len({answer["prediction_id"] for answer in large}) == 3000


def test_predictions_are_spooled_while_kafka_is_away_and_arrive_in_order_when_it_is_back(
    stack: Any, replica: Replica, tmp_path: Path
) -> None:
    with own_kafka(stack, tmp_path / "stack") as own:
        replica.env |= {"KAFKA_BOOTSTRAP_SERVERS": own.env["KAFKA_BOOTSTRAP_SERVERS"]}
        workshop = Workshop(own.env)
        workshop.promote(workshop.register())
        replica.ready(workshop.name)
        asked = ask_in_turn(replica, workshop.name, 50)
        own.kill("kafka")
        asked += ask_in_turn(replica, workshop.name, 200)
        until(lambda: any((tmp_path / "spool").glob("spool-*")), what="a spool")
        asked += ask_in_turn(replica, workshop.name, 50)
        # What was handed over outlives the process, however it ends.
        until(lambda: replica.metric("published_total") + replica.metric("spooled_total") >= 300, what="a full spool")
        replica.end(signal.SIGKILL)
        replica.start()
        until(lambda: replica.champion(workshop.name) == "1", what="the copy")
        own.restart("kafka")
        asked += ask_in_turn(replica, workshop.name, 50)
        until(lambda: not any((tmp_path / "spool").glob("spool-*")), what="an empty spool")
        assert replica.end() in ENDED_BY_SIGTERM
        partitions = predictions_by_partition(own.env["KAFKA_BOOTSTRAP_SERVERS"], workshop.name)
        arrived = [one for partition in partitions for one in partition]
    assert set(asked) == set(arrived)
    # Each partition keeps the order in which they were asked; the kill may have brought some a second time.
    for partition in partitions:
        firsts = list(dict.fromkeys(partition))
        assert firsts == sorted(firsts, key=asked.index)


def test_a_courier_that_is_killed_under_load_is_replaced_and_loses_no_prediction(stack: Any, replica: Replica) -> None:
    workshop = Workshop(stack.env)
    workshop.promote(workshop.register())
    replica.ready(workshop.name)
    with Load(replica, workshop.name) as load:
        for _ in range(3):
            answered, killed = len(load.answers), replica.courier()
            until(lambda n=answered: len(load.answers) > n + 200, what="answers before the kill")
            killed.kill()
            until(lambda pid=killed.pid: replica.courier().pid != pid, what="another courier")
        answered = len(load.answers)
        until(lambda: len(load.answers) > answered + 50, what="answers after the last")
    assert load.failures == []
    assert replica.end() in ENDED_BY_SIGTERM
    asked = {answer["prediction_id"] for _, answer in load.answers}
    arrived = {one for partition in predictions_by_partition(stack.kafka, workshop.name) for one in partition}
    assert asked <= arrived


def test_a_replica_that_is_killed_leaves_a_courier_that_brings_what_it_has(stack: Any, replica: Replica) -> None:
    workshop = Workshop(stack.env)
    workshop.promote(workshop.register())
    replica.ready(workshop.name)
    courier = replica.courier()
    courier.suspend()
    asked = ask_in_turn(replica, workshop.name, 50)
    time.sleep(0.5)  # a hundred times as long as answers wait to be handed over
    replica.end(signal.SIGKILL)
    assert courier.is_running()
    courier.resume()
    until(lambda: not courier.is_running(), 30, "the courier's end")
    arrived = [one for partition in predictions_by_partition(stack.kafka, workshop.name) for one in partition]
    assert sorted(arrived) == sorted(asked)


def ask_in_turn(replica: Replica, model: str, count: int) -> list[str]:
    found = []
    for _ in range(count):
        response = replica.predict(model, {"carrier": "UA"})
        assert response.status_code == 200
        found.append(response.json()["predictions"][0]["prediction_id"])
    return found


def test_beyond_capacity_some_are_refused_at_once_and_nobody_waits_long(stack: Any, replica: Replica) -> None:
    workshop = Workshop(stack.env)
    workshop.promote(workshop.register())
    replica.ready(workshop.name, INFERENCE_MAX_CONCURRENT="4")
    body = {"instances": [{"carrier": "UA", "distance": 5.0}] * 800}
    with ThreadPoolExecutor(24) as pool, httpx.Client(timeout=20.0, limits=httpx.Limits(max_connections=24)) as client:
        url = f"{replica.url}/v1/models/{workshop.name}/predict"
        replies = list(pool.map(lambda _: client.post(url, json=body), range(60)))
    statuses = {reply.status_code for reply in replies}
    assert statuses == {200, 503}
    assert {reply.headers["retry-after"] for reply in replies if reply.status_code == 503} == {"1"}
    assert replica.metric("overload_total") == sum(reply.status_code == 503 for reply in replies)
    assert replica.predict(workshop.name, {"carrier": "AA"}).status_code == 200
