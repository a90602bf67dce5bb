"""The registry as Flywheel's services see it."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from registry.artifacts import Artifacts, read_folder
from registry.errors import RegistryError, UnknownModel, UnknownVersion
from registry.rest import AlreadyExists, MlflowRest, NotFound
from registry.runs import Run, RunStore
from registry.settings import RegistrySettings
from registry.versions import (
    HISTORY_KEPT,
    TAG,
    Candidate,
    ModelVersion,
    StateChange,
    VersionState,
    flywheel_tags,
    tags_of,
    version_from,
)

MODEL_NAME_IN_RUN = "model"
CHAMPION, CHALLENGER = "champion", "challenger"
SEQUENCE = "rollout_sequence"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Registry:
    """Models, their versions and which of them serve.

    Every method may raise RegistryUnavailable (try again) or RegistryError (do not). `run_store` and `artifacts`
    are the runs and the files behind the versions.
    """

    def __init__(self, settings: RegistrySettings, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._rest = MlflowRest(settings)
        self._now = now
        self.artifacts = Artifacts(settings)
        self.run_store = RunStore(self._rest, self.artifacts, settings.model_artifacts_uri)

    def close(self) -> None:
        """Give the connections back."""
        self._rest.close()

    def ping(self) -> None:
        """Raises RegistryUnavailable when MLflow does not answer."""
        self._rest.ping()

    def models(self) -> list[str]:
        """Names of all registered models, sorted."""
        return sorted(entry["name"] for entry in self._rest.pages("registered-models/search", "registered_models"))

    def versions(self, model: str) -> list[ModelVersion]:
        """Every version of `model` that Flywheel registered, oldest first; empty for an unknown model."""
        entries = self._rest.pages("model-versions/search", "model_versions", filter=f"name='{model}'")
        found = [version for entry in entries if (version := version_from(entry))]
        return sorted(found, key=lambda version: int(version.version))

    def version(self, model: str, version: str) -> ModelVersion:
        """One version. Raises UnknownVersion."""
        try:
            entry = self._rest.get("model-versions/get", name=model, version=version)["model_version"]
        except RegistryError as exc:
            if isinstance(exc, NotFound) or not version.isdecimal():
                raise UnknownVersion(model, version) from exc
            raise
        if (found := version_from(entry)) is None:
            raise UnknownVersion(model, version)
        return found

    def champion(self, model: str) -> ModelVersion | None:
        """The version that serves; None when none was promoted yet, or the model is unknown."""
        return self._by_alias(model, CHAMPION)

    def challenger(self, model: str) -> ModelVersion | None:
        """The version that is being tried beside the champion; None when there is none."""
        return self._by_alias(model, CHALLENGER)

    def aliased(self, model: str, alias: str) -> ModelVersion | None:
        """The version that carries `alias`, if any."""
        return self._by_alias(model, alias)

    def register(self, candidate: Candidate) -> ModelVersion:
        """Upload the candidate's files and make them a version in state `registered`.

        The version that its trigger has already led to is returned as it stands, so a training that is
        repeated after a crash registers nothing twice.
        """
        if candidate.trigger_id and (found := self._for_trigger(candidate.model, candidate.trigger_id)):
            return found
        self._ensure_model(candidate.model)
        model_id, artifact_uri = self._upload(candidate)
        tags = [{"key": key, "value": value} for key, value in tags_of(candidate, artifact_uri).items()]
        body = {
            "name": candidate.model,
            "source": f"models:/{model_id}",
            "model_id": model_id,
            "run_id": candidate.run_id,
            "tags": tags,
        }
        entry = self._rest.post("model-versions/create", body, repeatable=False)["model_version"]
        return self.version(candidate.model, str(entry["version"]))

    def set_state(
        self, model: str, version: str, state: VersionState, *, traffic_percent: float, reason: str, who: str
    ) -> ModelVersion:
        """Write where a version stands, and add when, why and by whom to its history. Repeating it changes nothing."""
        before = self.version(model, version)
        if (before.state, before.traffic_percent) == (state, traffic_percent):
            return before
        change = StateChange(state, traffic_percent, self._now(), who, reason)
        history = (*before.history, change)[-HISTORY_KEPT:]
        self.tag_version(model, version, "history", json.dumps([entry.encode() for entry in history]))
        if reason != before.reason:
            self.tag_version(model, version, "reason", reason)
        if traffic_percent != before.traffic_percent:
            self.tag_version(model, version, "traffic_percent", f"{traffic_percent:g}")
        self.tag_version(model, version, "state", state.value)
        return replace(before, state=state, traffic_percent=traffic_percent, reason=reason, history=history)

    def set_champion(self, model: str, version: str, *, previous: str | None = None) -> None:
        """Make `version` the one that serves; `previous` is what a rollback from it goes back to."""
        if previous is not None:
            self.tag_version(model, version, "previous_champion", previous)
        self._rest.post("registered-models/alias", {"name": model, "alias": CHAMPION, "version": version})

    def set_challenger(self, model: str, version: str | None) -> None:
        """Make `version` the one on trial beside the champion; None: there is none."""
        if version is not None:
            self._rest.post("registered-models/alias", {"name": model, "alias": CHALLENGER, "version": version})
            return
        try:
            self._rest.delete("registered-models/alias", {"name": model, "alias": CHALLENGER})
        except NotFound:
            return

    def rollout_sequence(self, model: str) -> int | None:
        """The last transition of `model` that is complete; None before the first."""
        try:
            entry = self._rest.get("registered-models/get", name=model)["registered_model"]
        except NotFound:
            return None
        said = flywheel_tags(entry.get("tags", [])).get(SEQUENCE)
        return int(said) if said else None

    def set_rollout_sequence(self, model: str, sequence: int) -> None:
        """Note that transition `sequence` is complete."""
        body = {"name": model, "key": f"{TAG}{SEQUENCE}", "value": str(sequence)}
        self._rest.post("registered-models/set-tag", body)

    def tag_version(self, model: str, version: str, name: str, value: str) -> None:
        """Set one of Flywheel's tags (its name without prefix) on a version. Raises UnknownVersion."""
        body = {"name": model, "version": version, "key": f"{TAG}{name}", "value": value}
        try:
            self._rest.post("model-versions/set-tag", body)
        except NotFound as exc:
            raise UnknownVersion(model, version) from exc

    def runs(self, model: str) -> list[Run]:
        """Every training of `model`, newest first."""
        return self.run_store.all(model)

    def run_for_trigger(self, model: str, trigger_id: str) -> Run | None:
        """The training that this trigger led to; None when it was never taken up."""
        return self.run_store.for_trigger(model, trigger_id)

    def require(self, model: str) -> None:
        """Raises UnknownModel when nothing is registered under this name."""
        try:
            self._rest.get("registered-models/get", name=model)
        except NotFound as exc:
            raise UnknownModel(model) from exc

    def _for_trigger(self, model: str, trigger_id: str) -> ModelVersion | None:
        return next((found for found in self.versions(model) if found.trigger_id == trigger_id), None)

    def _by_alias(self, model: str, alias: str) -> ModelVersion | None:
        try:
            entry = self._rest.get("registered-models/alias", name=model, alias=alias)["model_version"]
        except RegistryError as exc:
            if isinstance(exc, NotFound) or "alias" in str(exc).lower():
                return None
            raise
        return version_from(entry)

    def _ensure_model(self, model: str) -> None:
        try:
            self._rest.post("registered-models/create", {"name": model})
        except AlreadyExists:
            return

    def _upload(self, candidate: Candidate) -> tuple[str, str]:
        """Id and real folder of a new MLflow logged model with the candidate's files."""
        body = {
            "experiment_id": self.run_store.experiment_id(candidate.model),
            "name": MODEL_NAME_IN_RUN,
            "source_run_id": candidate.run_id,
            "tags": [{"key": f"{TAG}artifact_sha256", "value": candidate.artifact_sha256}],
        }
        info: dict[str, Any] = self._rest.post("logged-models", body, repeatable=False)["model"]["info"]
        model_id, artifact_uri = info["model_id"], self.artifacts.resolve(info["artifact_uri"])
        self.artifacts.put_all(artifact_uri, read_folder(candidate.folder))
        outputs = {"run_id": candidate.run_id, "models": [{"model_id": model_id, "step": 0}]}
        self._rest.post("runs/outputs", outputs)
        self._rest.patch(f"logged-models/{model_id}", {"model_id": model_id, "status": "LOGGED_MODEL_READY"})
        return model_id, artifact_uri
