"""MLflow runs: one per training, found again by the trigger that asked for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from registry.artifacts import Artifacts
from registry.errors import RegistryError
from registry.rest import AlreadyExists, MlflowRest, NotFound
from registry.versions import TAG, flywheel_tags, moment_from

_BATCH = 100
_TAG_CHARS = 5000


class Outcome(StrEnum):
    """How a training ended: exactly one for every trigger."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Run:
    """One training. `outcome` None means that it has not ended, or that its process died; `tags` are Flywheel's."""

    run_id: str
    model: str
    name: str
    trigger_id: str | None
    outcome: Outcome | None
    reason: str
    version: str | None
    dataset_versions: str | None
    artifact_uri: str
    started_at: datetime
    ended_at: datetime | None
    failed: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class RunStore:
    """Runs of each model, in one experiment per model that bears its name."""

    def __init__(self, rest: MlflowRest, artifacts: Artifacts, artifact_root: str) -> None:
        self._rest = rest
        self._artifacts = artifacts
        self._root = artifact_root
        self._experiments: dict[str, str] = {}

    def experiment_id(self, model: str) -> str:
        """The experiment of `model`; made, with its files under the artifact root, when there is none."""
        if model not in self._experiments:
            self._experiments[model] = self._find_experiment(model) or self._make_experiment(model)
        return self._experiments[model]

    def all(self, model: str) -> list[Run]:
        """Every run of `model`, newest first; empty for a model that was never trained."""
        return self._search(model, "attributes.status != 'SCHEDULED'")

    def for_trigger(self, model: str, trigger_id: str) -> Run | None:
        """The run that this trigger led to; None when it was never taken up."""
        found = self._search(model, f"tags.`{TAG}trigger_id` = '{trigger_id}'")
        return next((run for run in found if run.outcome), found[-1] if found else None)

    def start(self, model: str, name: str, tags: Mapping[str, str]) -> Run:
        """A new run that carries `tags` (Flywheel's names, without prefix) from its first moment."""
        body = {
            "experiment_id": self.experiment_id(model),
            "run_name": name,
            "start_time": _now_ms(),
            "tags": [
                *({"key": f"{TAG}{key}", "value": value[:_TAG_CHARS]} for key, value in tags.items()),
                {"key": "mlflow.source.name", "value": "flywheel-trainer"},
                {"key": "mlflow.source.type", "value": "JOB"},
            ],
        }
        return _run_from(self._rest.post("runs/create", body, repeatable=False)["run"], model)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        inputs: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Record parameters, metrics and dataset inputs (as `packaging.dataset_input` makes them)."""
        now = _now_ms()
        pairs = [{"key": key, "value": str(value)} for key, value in params.items()]
        figures = [{"key": key, "value": value, "timestamp": now, "step": 0} for key, value in metrics.items()]
        for start in range(0, max(len(pairs), 1), _BATCH):
            self._rest.post("runs/log-batch", {"run_id": run_id, "params": pairs[start : start + _BATCH]})
        for start in range(0, len(figures), _BATCH * 5):
            self._rest.post("runs/log-batch", {"run_id": run_id, "metrics": figures[start : start + _BATCH * 5]})
        if inputs:
            self._rest.post("runs/log-inputs", {"run_id": run_id, "datasets": list(inputs)})

    def upload(self, run: Run, files: Mapping[str, bytes]) -> None:
        """Put `files` (by path) among the run's artifacts."""
        self._artifacts.put_all(run.artifact_uri, files)

    def tag(self, run_id: str, **tags: str) -> None:
        """Set tags of a run (Flywheel's names, without prefix), all in one request."""
        pairs = [{"key": f"{TAG}{key}", "value": value[:_TAG_CHARS]} for key, value in tags.items()]
        self._rest.post("runs/log-batch", {"run_id": run_id, "tags": pairs})

    def finish(self, run_id: str, outcome: Outcome, reason: str, version: str | None = None) -> None:
        """Record how the run ended. The outcome is written last: with it the trigger counts as handled."""
        self.tag(run_id, reason=reason, **({"version": version} if version else {}))
        self._rest.post("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": _now_ms()})
        self.tag(run_id, outcome=outcome.value)

    def finish_open(self, run_id: str, outcome: Outcome, reason: str, version: str) -> None:
        """As `finish`, unless the run has an outcome already: that one stays."""
        entry = self._rest.get("runs/get", run_id=run_id)["run"]
        if "outcome" not in flywheel_tags(entry.get("data", {}).get("tags", [])):
            self.finish(run_id, outcome, reason, version)

    def fail(self, run_id: str, reason: str) -> None:
        """Record that the run broke off: it has no outcome, and another may follow for the same trigger."""
        self.tag(run_id, reason=reason)
        self._rest.post("runs/update", {"run_id": run_id, "status": "FAILED", "end_time": _now_ms()})

    def _search(self, model: str, query: str) -> list[Run]:
        experiment = self._experiments.get(model) or self._find_experiment(model)
        if experiment is None:
            return []
        body = {"experiment_ids": [experiment], "filter": query, "order_by": ["attributes.start_time DESC"]}
        return [_run_from(entry, model) for entry in self._rest.post_pages("runs/search", "runs", body)]

    def _find_experiment(self, model: str) -> str | None:
        try:
            found = self._rest.get("experiments/get-by-name", experiment_name=model)["experiment"]
        except NotFound:
            return None
        if found.get("lifecycle_stage") == "deleted":
            raise RegistryError(f"the MLflow experiment {model} was deleted; restore it, or purge it with `mlflow gc`")
        return str(found["experiment_id"])

    def _make_experiment(self, model: str) -> str:
        body = {"name": model, "artifact_location": f"{self._root}/{model}"}
        try:
            return str(self._rest.post("experiments/create", body)["experiment_id"])
        except AlreadyExists:
            return str(self._find_experiment(model))


def _run_from(entry: Mapping[str, Any], model: str) -> Run:
    info, data = entry["info"], entry.get("data", {})
    tags = flywheel_tags(data.get("tags", []))
    return Run(
        run_id=info["run_id"],
        model=model,
        name=info.get("run_name", ""),
        trigger_id=tags.get("trigger_id"),
        outcome=Outcome(tags["outcome"]) if "outcome" in tags else None,
        reason=tags.get("reason", ""),
        version=tags.get("version"),
        dataset_versions=tags.get("dataset_versions"),
        artifact_uri=info["artifact_uri"],
        started_at=moment_from(info.get("start_time", 0)),
        ended_at=moment_from(info["end_time"]) if info.get("end_time") else None,
        failed=info.get("status") in {"FAILED", "KILLED"},
        metrics={metric["key"]: float(metric["value"]) for metric in data.get("metrics", [])},
        tags=tags,
    )


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
