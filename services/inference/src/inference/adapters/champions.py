"""The registry, in the keeper's words."""

from datetime import UTC, datetime

from inference.application.ports import ModelRefused, SourceUnavailable
from inference.domain.claims import Artifact, Claim, Contender
from inference.domain.pins import Pins
from registry import ModelVersion, Registry, RegistryError, RegistryUnavailable, UnknownVersion, VersionState

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class RegistryChampions:
    """Asks MLflow who the champions are, and who is on trial beside them; of a model in `pins`, for that version."""

    def __init__(self, registry: Registry, pins: Pins) -> None:
        self._registry = registry
        self._pins = pins

    def all(self) -> list[Claim]:
        """The champion of every model that has one, or its pin; what Flywheel did not register is passed over."""
        try:
            found: list[Claim | None] = [self._pinned(*pin) for pin in self._pins.items()]
            found += [self._claim(model) for model in self._registry.models() if model not in self._pins]
        except RegistryError as exc:
            raise SourceUnavailable(str(exc)) from exc
        return [claim for claim in found if claim is not None]

    def _claim(self, model: str) -> Claim | None:
        # The number first: whatever is read after it is of that transition, or of a later one.
        sequence = self._registry.rollout_sequence(model)
        version = self._registry.champion(model)
        if version is None:
            return None
        since = version.history[-1].at if version.history else version.created_at
        trial = self._registry.challenger(model)
        contender = _contender(trial) if trial else None
        return Claim(model, version.version, since, _artifact(version), contender, sequence)

    def _pinned(self, model: str, pin: str) -> Claim:
        """What the pin stands for now; one that stands for nothing is claimed as it is, so that it is seen refused."""
        version = self._registry.aliased(model, pin)
        if version is None:
            return Claim(model, pin, _LONG_AGO, None)
        return Claim(model, version.version, version.created_at, _artifact(version))

    def find(self, model: str, version: str) -> Artifact:
        """Where a version's files lie."""
        try:
            return _artifact(self._registry.version(model, version))
        except RegistryUnavailable as exc:
            raise SourceUnavailable(str(exc)) from exc
        except (UnknownVersion, RegistryError) as exc:
            raise ModelRefused("missing", str(exc)) from exc


def _contender(version: ModelVersion) -> Contender:
    percent = version.traffic_percent if version.state is VersionState.CANARY else 0.0
    return Contender(_artifact(version), percent)


def _artifact(version: ModelVersion) -> Artifact:
    return Artifact(version.model, version.version, version.artifact_uri, version.artifact_sha256)
