"""Which version should serve a model, when registry, events and the copy on disk each say something."""

from dataclasses import dataclass
from datetime import datetime

from flywheel_schemas.events import ModelAction, ModelUpdated


@dataclass(frozen=True, slots=True)
class Artifact:
    """One version's files: `uri` is their folder, `sha256` the digest of the LightGBM text in it."""

    model: str
    version: str
    uri: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Claim:
    """`version` of `model` is the champion since `at`. `artifact` is None where the claim does not name its place."""

    model: str
    version: str
    at: datetime
    artifact: Artifact | None


def claim_of(event: ModelUpdated) -> Claim | None:
    """Who is champion after `event`; None when it does not say (a registered or rejected version alone)."""
    champion = event.champion
    if champion is None and event.action is ModelAction.PROMOTED:
        champion = event.model_version
    if champion is None and event.action is ModelAction.ROLLED_BACK:
        champion = event.previous_version
    if champion is None:
        return None
    return Claim(event.model, champion, event.occurred_at, _artifact_of(champion, event))


def _artifact_of(champion: str, event: ModelUpdated) -> Artifact | None:
    if champion == event.model_version:
        return Artifact(event.model, champion, event.artifact_uri, event.artifact_sha256)
    if event.champion_artifact_uri and event.champion_artifact_sha256:
        return Artifact(event.model, champion, event.champion_artifact_uri, event.champion_artifact_sha256)
    return None


def registry_wins(claim: Claim, *, last_seen: str | None, standing: Claim | None) -> bool:
    """Whether what the registry says now replaces what stands.

    The registry is asked rarely and told of a rollback late when it is away, so what it has said before does not
    override an event. It wins when it says something new, or, heard for the first time, something younger.
    """
    if standing is None or standing.version == claim.version:
        return True
    if last_seen is not None:
        return claim.version != last_seen
    return claim.at >= standing.at


def event_wins(claim: Claim, *, live: bool, standing: Claim | None) -> bool:
    """Whether an event replaces what stands: always when it has just happened, else when it is not older."""
    return live or standing is None or claim.at >= standing.at
