"""Validating manifests without a cluster: core kinds by Kubernetes' own schemas, custom ones by their CRDs."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.k8s.rendering import Manifest, called

KUBERNETES = "1.36"
CORE_GROUPS = ("", "apps", "autoscaling", "batch", "networking.k8s.io", "policy")
# What belongs to every object, and no CRD spells out.
_OBJECT = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}


def problems(manifests: Iterable[Manifest], crds: Sequence[Path]) -> list[str]:
    """A line for whatever the API server would not take; unknown fields included."""
    known = _schemas(tuple(crds))
    found = []
    for manifest in manifests:
        group = manifest["apiVersion"].rpartition("/")[0]
        if group in CORE_GROUPS:
            found += _core(manifest)
        elif (schema := known.get((manifest["apiVersion"], manifest["kind"]))) is None:
            found.append(f"{called(manifest)}: no CRD here serves {manifest['apiVersion']}")
        else:
            errors = jsonschema.Draft7Validator(schema).iter_errors(manifest)
            found += [f"{called(manifest)}: {error.json_path}: {error.message[:200]}" for error in errors]
    return found


def is_core(manifest: Manifest) -> bool:
    """Whether Kubernetes itself has this kind."""
    return manifest["apiVersion"].rpartition("/")[0] in CORE_GROUPS


def _core(manifest: Manifest) -> list[str]:
    try:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{called(manifest)}: {error.message[:300]}"]
    return []


@cache
def _schemas(crds: tuple[Path, ...]) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    for file in crds:
        for document in yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader):
            spec = (document or {}).get("spec", {})
            for version in spec.get("versions", ()):
                if version["served"]:
                    schema = _strict(version["schema"]["openAPIV3Schema"])
                    schema["properties"] = _OBJECT | {
                        name: value for name, value in schema["properties"].items() if name not in _OBJECT
                    }
                    found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def _strict(schema: Any) -> Any:
    """The structural schema as JSON Schema: unknown fields refused, as server-side validation does."""
    if not isinstance(schema, dict):
        return [_strict(each) for each in schema] if isinstance(schema, list) else schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    strict = {
        name: _strict(value) for name, value in schema.items() if name not in ("description", "format", "default")
    }
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("properties") and isinstance(schema.get("type"), str) and not open_ended:
        strict["additionalProperties"] = False
    if schema.get("nullable"):
        strict["type"] = [schema["type"], "null"]
    return strict
