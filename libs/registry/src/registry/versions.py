"""A model version as the registry tells of it, and what becomes one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from flywheel_schemas.events import GateReport

TAG = "flywheel."
ERASED_ROWS = "erased_rows"
HISTORY_KEPT = 50


class VersionState(StrEnum):
    """Where a version stands. One version at most is `promoted`: the champion."""

    REGISTERED = "registered"
    REJECTED = "rejected"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTED = "promoted"
    RETIRED = "retired"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class StateChange:
    """One entry of a version's history: MLflow itself keeps none."""

    state: VersionState
    traffic_percent: float
    at: datetime
    who: str
    reason: str

    def encode(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "state": self.state.value,
            "traffic_percent": self.traffic_percent,
            "at": self.at.astimezone(UTC).isoformat(),
            "who": self.who,
            "reason": self.reason,
        }

    @classmethod
    def decode(cls, entry: Mapping[str, Any]) -> "StateChange":
        """The entry that `encode` wrote."""
        return cls(
            state=VersionState(entry["state"]),
            traffic_percent=float(entry["traffic_percent"]),
            at=datetime.fromisoformat(entry["at"]),
            who=entry["who"],
            reason=entry["reason"],
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained model that is to be registered, with the evidence for and against it.

    `folder` holds a complete MLflow model (see `packaging.write_model_folder`), `artifact_sha256` is the digest of its
    model.txt. `trigger_id` None means that a person asked for the model, not a trigger. `judged_against` is the
    champion that the gates compared it with.
    """

    model: str
    run_id: str
    folder: Path
    artifact_sha256: str
    trigger_id: str | None
    training_set_hash: str
    dataset_versions: Mapping[str, int]
    metrics: Mapping[str, float]
    gates: Sequence[GateReport]
    git_commit: str
    reason: str
    judged_against: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every gate let it through."""
        return all(gate.passed for gate in self.gates)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered version. `artifact_uri` is the folder that really holds model.txt and spec.yaml.

    `erased_rows` counts what it had learned from and people have had erased since.
    """

    model: str
    version: str
    state: VersionState
    traffic_percent: float
    run_id: str
    artifact_uri: str
    artifact_sha256: str
    trigger_id: str | None
    training_set_hash: str
    dataset_versions: Mapping[str, int]
    metrics: Mapping[str, float]
    gates: Sequence[GateReport]
    created_at: datetime
    reason: str = ""
    git_commit: str = ""
    judged_against: str | None = None
    previous_champion: str | None = None
    erased_rows: int = 0
    history: Sequence[StateChange] = field(default_factory=tuple)


def tags_of(candidate: Candidate, artifact_uri: str) -> dict[str, str]:
    """The version tags that say everything of `candidate`; `version_from` reads them back."""
    tags = {
        "state": VersionState.REGISTERED.value,
        "traffic_percent": "0",
        "training_set_hash": candidate.training_set_hash,
        "dataset_versions": json.dumps(dict(candidate.dataset_versions), sort_keys=True),
        "git_commit": candidate.git_commit,
        "artifact_uri": artifact_uri,
        "artifact_sha256": candidate.artifact_sha256,
        "metrics": json.dumps(dict(candidate.metrics), sort_keys=True),
        "gates": json.dumps([gate.model_dump(mode="json") for gate in candidate.gates]),
        "outcome": "passed" if candidate.passed else "failed_gates",
        "reason": candidate.reason,
    }
    if candidate.judged_against:
        tags["judged_against"] = candidate.judged_against
    if candidate.trigger_id:
        tags["trigger_id"] = candidate.trigger_id
    return {f"{TAG}{name}": value for name, value in tags.items()}


def version_from(entry: Mapping[str, Any]) -> ModelVersion | None:
    """The version in MLflow's JSON `entry`; None when it was not registered by Flywheel."""
    tags = flywheel_tags(entry.get("tags", []))
    if "state" not in tags or "artifact_uri" not in tags:
        return None
    return ModelVersion(
        model=entry["name"],
        version=str(entry["version"]),
        state=VersionState(tags["state"]),
        traffic_percent=float(tags.get("traffic_percent", "0")),
        run_id=entry.get("run_id", ""),
        artifact_uri=tags["artifact_uri"],
        artifact_sha256=tags.get("artifact_sha256", ""),
        trigger_id=tags.get("trigger_id"),
        training_set_hash=tags.get("training_set_hash", ""),
        dataset_versions=json.loads(tags.get("dataset_versions", "{}")),
        metrics=json.loads(tags.get("metrics", "{}")),
        gates=tuple(GateReport.model_validate(gate) for gate in json.loads(tags.get("gates", "[]"))),
        created_at=moment_from(entry.get("creation_timestamp", 0)),
        reason=tags.get("reason", ""),
        git_commit=tags.get("git_commit", ""),
        judged_against=tags.get("judged_against"),
        previous_champion=tags.get("previous_champion") or None,
        erased_rows=int(tags.get(ERASED_ROWS, "0")),
        history=tuple(StateChange.decode(change) for change in json.loads(tags.get("history", "[]"))),
    )


def flywheel_tags(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Flywheel's own tags of MLflow's list, by name without the prefix."""
    return {tag["key"].removeprefix(TAG): tag.get("value", "") for tag in tags if tag["key"].startswith(TAG)}


def moment_from(timestamp_ms: int | str) -> datetime:
    """MLflow's milliseconds as a moment in UTC."""
    return datetime.fromtimestamp(int(timestamp_ms) / 1000, UTC)
