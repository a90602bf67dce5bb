"""The manifests as kustomize renders them."""

import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tests.k8s.tools import K8S, KUSTOMIZE

Manifest = dict[str, Any]
OVERLAYS = ("local", "staging", "production")
# Components that no overlay uses, each with those that it needs.
ALTERNATIVES = {"flagger": ("autoscaling", "monitoring", "flagger"), "plain-kafka": ("topics-job", "autoscaling")}
WORKLOADS = ("Deployment", "StatefulSet", "Job")


def overlay(name: str) -> list[Manifest]:
    """An overlay's objects."""
    return _build(K8S / "overlays" / name)


def alternative(name: str) -> list[Manifest]:
    """The base with the components of one of ALTERNATIVES."""
    with tempfile.TemporaryDirectory(dir=K8S) as folder:
        entry = {
            "resources": ["../base"],
            "components": [f"../components/{component}" for component in ALTERNATIVES[name]],
            "namespace": "flywheel",
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(entry))
        return _build(Path(folder))


def everything() -> dict[str, list[Manifest]]:
    """Every overlay and alternative by its name."""
    return {name: overlay(name) for name in OVERLAYS} | {name: alternative(name) for name in ALTERNATIVES}


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """Those of the kinds."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def called(manifest: Manifest) -> str:
    """How it is named in a message: Deployment/ingest."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def _build(folder: Path) -> list[Manifest]:
    command = [str(KUSTOMIZE.path()), "build", os.path.relpath(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"kustomize cannot render {folder.name}: {done.stderr}")
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
