"""Registered models' files."""

import json
from typing import Any

from flywheel_schemas.spec import ModelSpec, parse_spec
from registry import ModelVersion
from registry.artifacts import MODEL_FILE, SPEC_FILE, Artifacts, sha256
from registry.errors import CorruptArtifact

TRAINING_FILE = "training.json"


class RegisteredModels:
    """Reads the folder of a version; a text that is not the registered one is refused."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts

    def load(self, version: ModelVersion) -> tuple[ModelSpec, str]:
        """Raises CorruptArtifact, RegistryUnavailable or RegistryError."""
        content = self._artifacts.get(version.artifact_uri, MODEL_FILE)
        if (found := sha256(content)) != version.artifact_sha256:
            raise CorruptArtifact(f"{version.artifact_uri}/{MODEL_FILE}", version.artifact_sha256, found)
        spec = self._artifacts.get(version.artifact_uri, SPEC_FILE).decode()
        return parse_spec(spec, f"{version.artifact_uri}/{SPEC_FILE}"), content.decode()

    def training_record(self, version: ModelVersion) -> dict[str, Any]:
        """The training.json of the version."""
        return dict(json.loads(self._artifacts.get(version.artifact_uri, TRAINING_FILE)))
