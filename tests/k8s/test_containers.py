"""The images and the stack for Docker: locked, and the same names and ports as `make up`."""

import re
from pathlib import Path
from typing import Any

import yaml

from flywheel_local.ports import Ports
from flywheel_local.service import all_services
from tests.k8s.tools import REPOSITORY

DOCKERFILE = (REPOSITORY / "deploy/docker/Dockerfile").read_text()


def _compose() -> Any:
    return yaml.safe_load((REPOSITORY / "deploy/compose/compose.yaml").read_text())


def _pins(lock: str) -> dict[str, tuple[str, frozenset[str]]]:
    text = (REPOSITORY / lock).read_text()
    found = {}
    for name, version, rest in re.findall(r"^([\w.-]+(?:\[\w+\])?)==(\S+)(.*(?:\n    .*)*)", text, re.MULTILINE):
        found[name] = (version, frozenset(re.findall(r"sha256:(\w+)", rest)))
    return found


def test_what_is_installed_in_the_image_is_what_was_tested() -> None:
    tested, installed = _pins("requirements.lock"), _pins("deploy/docker/requirements.lock")
    installed |= _pins("deploy/docker/build.lock")
    assert len(installed) > 100
    assert {name: pin for name, pin in installed.items() if tested.get(name) != pin} == {}
    assert all(hashes for _, hashes in installed.values())


def test_the_image_has_everything_that_the_services_need() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[0]
    needed = {name.lower().replace("_", "-") for name in re.findall(r'"([\w-]+)(?:\[[\w,]+\])?[>=;]', project)}
    assert len(needed) > 20
    assert needed <= set(_pins("deploy/docker/requirements.lock")) | {"hatchling"}


def test_the_image_runs_as_nobody_special_and_installs_only_what_is_hashed() -> None:
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    installs = re.findall(r"pip install[^\n]*", DOCKERFILE)
    assert all("--require-hashes" in each or "--no-index" in each for each in installs)


def test_every_folder_of_the_wheel_is_in_the_build() -> None:
    listed = (REPOSITORY / "pyproject.toml").read_text()
    wheel = listed.partition("[tool.hatch.build.targets.wheel]")[2].partition("]")[0]
    copied = re.findall(r"^COPY (\S+) \1$", DOCKERFILE, re.MULTILINE)
    folders = re.findall(r'"([^"]+/src/[^"]+)"', wheel)
    assert folders
    assert all(any(folder.startswith(f"{each}/") for each in copied) for folder in folders)
    allowed = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert all(f"!{each}" in allowed for each in copied)


def test_compose_has_the_names_and_ports_of_the_embedded_stack() -> None:
    services, ports = _compose()["services"], Ports()
    for service in all_services(Path("home"), ports):
        [variable, port] = next(iter(service.ports.items()))
        assert services[service.name]["command"] == [service.module]
        assert services[service.name]["ports"] == [f"127.0.0.1:${{{variable}:-{port}}}:{port}"]
    for name, port in (("kafka", ports.kafka_port), ("s3", ports.s3_port), ("mlflow", ports.mlflow_port)):
        assert services[name]["ports"][0].startswith(f"127.0.0.1:${{{name.upper()}_PORT:-{port}}}:")


def test_every_container_of_ours_is_shut_in_and_watched() -> None:
    for name, service in _compose()["services"].items():
        assert service["image"].rpartition(":")[2] not in ("", "latest")
        if not service["image"].startswith("flywheel:"):
            continue
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert name in ("topics", "buckets") or "healthcheck" in service
