"""Which versions should serve a model, when registry, events and the copy on disk each say something."""

from dataclasses import dataclass
from datetime import datetime

from flywheel_schemas.events import ChallengerState, ModelAction, ModelUpdated


@dataclass(frozen=True, slots=True)
class Artifact:
    """One version's files: `uri` is their folder, `sha256` the digest of the LightGBM text in it."""

    model: str
    version: str
    uri: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Contender:
    """A version on trial beside the champion. At 0 percent it answers aside only (shadow)."""

    artifact: Artifact
    percent: float

    @property
    def version(self) -> str:
        """The version, as text."""
        return self.artifact.version


@dataclass(frozen=True, slots=True)
class Claim:
    """`version` of `model` is the champion since `at`, and `contender` is on trial beside it.

    `artifact` is None where the claim does not name the champion's place. `sequence` orders claims that have one.
    `triggered_at` is when the threshold was reached that led to this champion, where one did.
    """

    model: str
    version: str
    at: datetime
    artifact: Artifact | None
    contender: Contender | None = None
    sequence: int | None = None
    triggered_at: datetime | None = None


def claim_of(event: ModelUpdated) -> Claim | None:
    """Who serves after `event`; None when it does not say (a registered or rejected version alone)."""
    champion = event.champion
    if champion is None and event.action is ModelAction.PROMOTED:
        champion = event.model_version
    if champion is None and event.action is ModelAction.ROLLED_BACK:
        champion = event.previous_version
    if champion is None:
        return None
    place = _artifact_of(champion, event)
    contender = _contender_of(event)
    return Claim(event.model, champion, event.occurred_at, place, contender, event.sequence, event.triggered_at)


def _artifact_of(champion: str, event: ModelUpdated) -> Artifact | None:
    if champion == event.model_version:
        return Artifact(event.model, champion, event.artifact_uri, event.artifact_sha256)
    if event.champion_artifact_uri and event.champion_artifact_sha256:
        return Artifact(event.model, champion, event.champion_artifact_uri, event.champion_artifact_sha256)
    return None


def _contender_of(event: ModelUpdated) -> Contender | None:
    uri, sha256 = event.challenger_artifact_uri, event.challenger_artifact_sha256
    if event.challenger is None or not uri or not sha256:
        return None
    answers = event.challenger_state is ChallengerState.CANARY
    percent = (event.challenger_traffic_percent or 0.0) if answers else 0.0
    return Contender(Artifact(event.model, event.challenger, uri, sha256), percent)


def registry_wins(claim: Claim, *, last_seen: str | None, standing: Claim | None) -> bool:
    """Whether what the registry says now replaces what stands.

    Of two numbered claims the later transition wins. Else: the registry is asked rarely and told of a rollback late
    when it is away, so what it has said before does not override an event. It wins when it says something new, or,
    heard for the first time, something younger.
    """
    if standing is None:
        return True
    if claim.sequence is not None and standing.sequence is not None:
        return claim.sequence >= standing.sequence
    if standing.version == claim.version:
        return standing.sequence is None
    if last_seen is not None:
        return claim.version != last_seen
    return claim.at >= standing.at


def event_wins(claim: Claim, *, live: bool, standing: Claim | None) -> bool:
    """Whether an event replaces what stands: never one of an earlier transition, always what has just happened."""
    if standing is None:
        return True
    if claim.sequence is not None and standing.sequence is not None:
        return claim.sequence >= standing.sequence
    return live or claim.at >= standing.at
