"""model-updated: what one step did to a model, complete enough to serve by."""

from datetime import datetime
from uuid import UUID

from flywheel_schemas.events import ModelUpdated
from registry import ModelVersion
from trainer.domain.rollout import Step


def model_updated(step: Step, version: ModelVersion, champion: ModelVersion | None, now: datetime) -> ModelUpdated:
    """The event of `step`, which changed `version` and after which `champion` serves."""
    traffic = next((change.traffic_percent for change in step.changes if change.version == version.version), 0.0)
    return ModelUpdated(
        model=version.model,
        model_version=version.version,
        action=step.action,
        traffic_percent=traffic,
        previous_version=step.previous,
        champion=champion.version if champion else None,
        champion_artifact_uri=champion.artifact_uri if champion else None,
        champion_artifact_sha256=champion.artifact_sha256 if champion else None,
        run_id=version.run_id,
        trigger_id=UUID(version.trigger_id) if version.trigger_id else None,
        dataset_versions=dict(version.dataset_versions),
        training_set_hash=version.training_set_hash,
        metrics=dict(version.metrics),
        gates=list(version.gates),
        artifact_uri=version.artifact_uri,
        artifact_sha256=version.artifact_sha256,
        reason=step.reason,
        occurred_at=now,
    )
