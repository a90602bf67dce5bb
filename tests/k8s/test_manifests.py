"""The manifests are what Kubernetes takes and what docs/operations.md promises, and each rule can fail."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.observability.dashboards import DASHBOARDS
from flywheel_schemas.topics import ALL_TOPICS
from kafka_runtime.settings import KafkaSettings
from stream_processor.settings import READER_GROUP
from tests.k8s import arrows, policies, schemas, table
from tests.k8s.rendering import ALTERNATIVES, OVERLAYS, Manifest, of_kind
from tests.k8s.tools import K8S, REPOSITORY
from trainer.wiring import GROUP as TRAINER_GROUP

Rendered = dict[str, list[Manifest]]
EVERY = (*OVERLAYS, *ALTERNATIVES)


@pytest.mark.parametrize("name", EVERY)
def test_kubernetes_takes_every_object(rendered: Rendered, crds: list[Path], name: str) -> None:
    has_strimzi = any("strimzi" in crd.name for crd in crds)
    known = [each for each in rendered[name] if has_strimzi or not each["apiVersion"].startswith("kafka.strimzi.io")]
    assert schemas.problems(known, crds) == []


def test_what_kubernetes_does_not_know_is_found(rendered: Rendered, crds: list[Path]) -> None:
    manifests = copy.deepcopy(rendered["production"])
    rollout = next(each for each in of_kind(manifests, "Rollout"))
    rollout["spec"]["strategy"]["canary"]["stepz"] = []
    deployment = next(each for each in of_kind(manifests, "Deployment"))
    deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolicie"] = "Always"
    found = schemas.problems([rollout, deployment], crds)
    assert len(found) == 2
    assert "stepz" in found[0]
    assert "imagePullPolicie" in found[1]


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_workload_has_every_property(rendered: Rendered, name: str) -> None:
    assert policies.violations(rendered[name]) == []


def _pod(workload: Manifest) -> Any:
    return workload["spec"]["template"]["spec"]


def _container(workload: Manifest) -> Any:
    return _pod(workload)["containers"][0]


SPOILT: dict[str, Callable[[Manifest, list[Manifest]], Any]] = {
    "lacks the labels app.kubernetes.io/version": lambda w, _: w["metadata"]["labels"].pop("app.kubernetes.io/version"),
    "no limits for memory": lambda w, _: _container(w)["resources"]["limits"].pop("memory"),
    "no requests for cpu": lambda w, _: _container(w)["resources"]["requests"].pop("cpu"),
    "no startupProbe": lambda w, _: _container(w).pop("startupProbe"),
    "livenessProbe": lambda w, _: _container(w)["livenessProbe"]["httpGet"].update(path="/readyz"),
    "readinessProbe": lambda w, _: _container(w).pop("readinessProbe"),
    "no preStop pause": lambda w, _: _container(w).pop("lifecycle"),
    "before it has drained": lambda w, _: _pod(w).update(terminationGracePeriodSeconds=10),
    "runAsNonRoot": lambda w, _: _pod(w)["securityContext"].pop("runAsNonRoot"),
    "seccompProfile": lambda w, _: _pod(w)["securityContext"].pop("seccompProfile"),
    "readOnlyRootFilesystem": lambda w, _: _container(w)["securityContext"].pop("readOnlyRootFilesystem"),
    "capabilities": lambda w, _: _container(w)["securityContext"].update(capabilities={"add": ["NET_ADMIN"]}),
    "pods mount a token": lambda w, _: _pod(w).pop("automountServiceAccountToken"),
    "no ServiceAccount": lambda w, _: _pod(w).update(serviceAccountName="default"),
    "service links": lambda w, _: _pod(w).pop("enableServiceLinks"),
    "no PodDisruptionBudget": lambda _, all_: all_.remove(of_kind(all_, "PodDisruptionBudget")[-1]),
    "not spread over": lambda w, _: _pod(w).pop("topologySpreadConstraints"),
    "stands in the manifest": lambda w, _: _container(w)["env"].append({"name": "KAFKA_SASL_PASSWORD", "value": "x"}),
    "not named by its contents": lambda w, _: _container(w)["envFrom"][0]["configMapRef"].update(name="settings"),
    "not immutable": lambda _, all_: of_kind(all_, "ConfigMap")[0].pop("immutable"),
    "no NetworkPolicy": lambda _, all_: [all_.remove(each) for each in of_kind(all_, "NetworkPolicy")],
    "has no version": lambda w, _: _container(w).update(image="flywheel-trainer:latest"),
    "there is no Deployment of": lambda w, all_: all_.remove(w),
}


@pytest.mark.parametrize("complaint", SPOILT)
def test_a_missing_property_is_found(rendered: Rendered, complaint: str) -> None:
    manifests = copy.deepcopy(rendered["production"])
    workload = next(each for each in of_kind(manifests, "Deployment") if policies.name_of(each) == "trainer")
    SPOILT[complaint](workload, manifests)
    found = policies.violations(manifests)
    assert found
    assert any(complaint in each for each in found), found


PORTS = {"ingest": 8001, "inference": 8002, "trainer": 8003, "stream-processor": 8004, "console": 8000}
BACKING = {"kafka": 9092, "s3": 8333, "mlflow": 5000}
DRAWN = {
    ("ingest", "kafka"),
    ("ingest", "s3"),
    ("inference", "kafka"),
    ("inference", "s3"),
    ("inference", "mlflow"),
    ("stream-processor", "kafka"),
    ("stream-processor", "s3"),
    ("trainer", "kafka"),
    ("trainer", "s3"),
    ("trainer", "mlflow"),
    ("mlflow", "s3"),
    *(("console", store) for store in ("kafka", "s3")),
    *(("console", other) for other in ("ingest", "inference", "trainer", "stream-processor")),
    ("flywheel-topics", "kafka"),
    ("flywheel-buckets", "s3"),
    ("application", "ingest"),
    ("application", "inference"),
    ("application", "console"),
}


def test_only_the_drawn_arrows_pass(rendered: Rendered) -> None:
    pods = {pod.name: pod for pod in arrows.pods(rendered["local"])}
    application = arrows.outsider(
        "application", {"kubernetes.io/metadata.name": "shop", "flywheel.dev/clients": "true"}
    )
    stranger = arrows.outsider("stranger", {"kubernetes.io/metadata.name": "elsewhere"})
    network = of_kind(rendered["local"], "NetworkPolicy")
    passing = {
        (source.name, target)
        for source in (*pods.values(), application, stranger)
        for target, port in (PORTS | BACKING).items()
        if source.name != target and arrows.may_connect(source, pods[target], port, network, "flywheel")
    }
    assert passing == DRAWN


def test_no_arrow_passes_to_another_port(rendered: Rendered) -> None:
    pods = {pod.name: pod for pod in arrows.pods(rendered["local"])}
    network = of_kind(rendered["local"], "NetworkPolicy")
    assert not arrows.may_connect(pods["console"], pods["trainer"], 22, network, "flywheel")


def test_prometheus_alone_reaches_the_metrics_of_all(rendered: Rendered) -> None:
    pods = {pod.name: pod for pod in arrows.pods(rendered["production"])}
    namespace = {"kubernetes.io/metadata.name": "monitoring"}
    prometheus = arrows.outsider("prometheus", namespace, {"app.kubernetes.io/name": "prometheus"})
    grafana = arrows.outsider("grafana", namespace, {"app.kubernetes.io/name": "grafana"})
    network = of_kind(rendered["production"], "NetworkPolicy")
    for name, port in PORTS.items():
        assert arrows.may_connect(prometheus, pods[name], port, network, "flywheel")
        assert not arrows.may_connect(grafana, pods[name], port, network, "flywheel")


@pytest.mark.parametrize("name", ["staging", "production"])
def test_the_topics_are_those_of_the_schemas(rendered: Rendered, name: str) -> None:
    counts = KafkaSettings.model_fields["partitions"].default, KafkaSettings.model_fields["partitions_control"].default
    wanted = {
        topic.name: (counts[0] if topic.high_volume else counts[1], {**topic.config, "min.insync.replicas": "2"})
        for topic in ALL_TOPICS
    }
    found = {
        each["metadata"]["name"]: (
            each["spec"]["partitions"],
            {key: str(value) for key, value in each["spec"]["config"].items()},
        )
        for each in of_kind(rendered[name], "KafkaTopic")
    }
    assert found == wanted


def test_every_service_may_use_exactly_its_topics_and_groups(rendered: Rendered) -> None:
    users = {each["metadata"]["name"]: each["spec"] for each in of_kind(rendered["production"], "KafkaUser")}
    assert set(users) == {f"flywheel-{name}" for name in (*PORTS, "lag-reader")}
    written = {
        name: sorted(
            acl["resource"]["name"]
            for acl in spec["authorization"]["acls"]
            if "Write" in acl["operations"] and acl["resource"].get("patternType") == "literal"
        )
        for name, spec in users.items()
    }
    assert written["flywheel-ingest"] == written["flywheel-console"] == ["feedback-events"]
    assert written["flywheel-inference"] == ["challenger-health", "predictions"]
    assert written["flywheel-lag-reader"] == []
    groups = {
        name: [acl["resource"]["name"] for acl in spec["authorization"]["acls"] if acl["resource"]["type"] == "group"]
        for name, spec in users.items()
    }
    assert READER_GROUP in groups["flywheel-lag-reader"]
    assert any(READER_GROUP.startswith(group) for group in groups["flywheel-stream-processor"])
    assert TRAINER_GROUP in groups["flywheel-trainer"]
    assert all("quotas" in spec for name, spec in users.items() if name != "flywheel-lag-reader")


def test_lag_scales_the_reader_group_and_never_beyond_the_partitions(rendered: Rendered) -> None:
    [scaled] = of_kind(rendered["production"], "ScaledObject")
    partitions = {
        each["metadata"]["name"]: each["spec"]["partitions"] for each in of_kind(rendered["production"], "KafkaTopic")
    }
    for trigger in scaled["spec"]["triggers"]:
        assert trigger["metadata"]["consumerGroup"] == READER_GROUP
        assert scaled["spec"]["maxReplicaCount"] <= partitions[trigger["metadata"]["topic"]]
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert {trigger["metadata"]["topic"] for trigger in scaled["spec"]["triggers"]} == {
        "feedback-events",
        "predictions",
    }


def test_an_analysis_decides_nothing_without_a_number(rendered: Rendered) -> None:
    templates = of_kind(rendered["staging"], "AnalysisTemplate")
    metrics = [metric for each in templates for metric in each["spec"]["metrics"]]
    assert len(metrics) == 5
    for metric in metrics:
        assert metric["inconclusiveLimit"] > 0
        for condition in (metric["successCondition"], metric["failureCondition"]):
            assert "len(result) > 0 && !isNaN(result[0])" in condition or "!= nil" in condition


def test_every_metric_that_is_queried_is_made_by_a_service(rendered: Rendered) -> None:
    code = "\n".join(file.read_text() for file in REPOSITORY.glob("services/*/src/**/*.py"))
    queries = [
        metric["provider"]["prometheus"]["query"]
        for each in of_kind(rendered["production"], "AnalysisTemplate")
        for metric in each["spec"]["metrics"]
        if "prometheus" in metric["provider"]
    ] + [each["spec"]["query"] for each in of_kind(rendered["flagger"], "MetricTemplate")]
    names = {name for query in queries for name in re.findall(r"flywheel_\w+", query)}
    assert len(queries) == 8
    for name in names:
        assert re.sub("_(bucket|count|sum)$", "", name) in code or name.removesuffix("_total") in code, name


def test_the_pin_reaches_the_pods_and_the_analysis(rendered: Rendered) -> None:
    inference = next(
        each for each in of_kind(rendered["staging"], "Deployment") if policies.name_of(each) == "inference"
    )
    pin = next(each for each in policies.container_of(inference)["env"] if each["name"] == "MODEL_PIN")
    source = pin["valueFrom"]["configMapKeyRef"]["name"]
    pinned = next(each for each in of_kind(rendered["staging"], "ConfigMap") if policies.name_of(each) == source)[
        "data"
    ]
    assert pinned["MODEL_PIN"] == f"{pinned['MODEL']}:{pinned['VERSION']}"
    rollout = next(each for each in of_kind(rendered["staging"], "Rollout") if policies.name_of(each) == "inference")
    analyses = [step["analysis"] for step in rollout["spec"]["strategy"]["canary"]["steps"] if "analysis" in step]
    for analysis in analyses:
        arguments = {each["name"]: each.get("value") for each in analysis["args"]}
        assert (arguments["model"], arguments["version"]) == (pinned["MODEL"], pinned["VERSION"])


def test_every_dashboard_is_where_grafanas_sidecar_looks(rendered: Rendered) -> None:
    (found,) = [
        each
        for each in of_kind(rendered["production"], "ConfigMap")
        if each["metadata"].get("labels", {}).get(policies.DASHBOARD) == "1"
    ]
    assert {json.loads(text)["uid"] for text in found["data"].values()} == {each.json()["uid"] for each in DASHBOARDS}


def test_the_table_in_the_docs_is_what_is_rendered(rendered: Rendered) -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    assert table.within(page, rendered["production"]) == page, "run `make k8s`: it writes the table anew"


def test_every_component_is_rendered_by_something() -> None:
    listed = "\n".join((K8S / "overlays" / name / "kustomization.yaml").read_text() for name in OVERLAYS)
    for component in (K8S / "components").iterdir():
        assert f"components/{component.name}\n" in listed or any(
            component.name in used for used in ALTERNATIVES.values()
        )
