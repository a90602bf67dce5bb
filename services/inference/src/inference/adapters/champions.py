"""The registry, in the keeper's words."""

from inference.application.ports import ModelRefused, SourceUnavailable
from inference.domain.claims import Artifact, Claim
from registry import ModelVersion, Registry, RegistryError, RegistryUnavailable, UnknownVersion


class RegistryChampions:
    """Asks MLflow who the champions are."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def all(self) -> list[Claim]:
        """The champion of every model that has one; models that Flywheel did not register are passed over."""
        try:
            found = [self._registry.champion(model) for model in self._registry.models()]
        except RegistryError as exc:
            raise SourceUnavailable(str(exc)) from exc
        return [_claim(version) for version in found if version is not None]

    def find(self, model: str, version: str) -> Artifact:
        """Where a version's files lie."""
        try:
            return _artifact(self._registry.version(model, version))
        except RegistryUnavailable as exc:
            raise SourceUnavailable(str(exc)) from exc
        except (UnknownVersion, RegistryError) as exc:
            raise ModelRefused("missing", str(exc)) from exc


def _claim(version: ModelVersion) -> Claim:
    since = version.history[-1].at if version.history else version.created_at
    return Claim(version.model, version.version, since, _artifact(version))


def _artifact(version: ModelVersion) -> Artifact:
    return Artifact(version.model, version.version, version.artifact_uri, version.artifact_sha256)
