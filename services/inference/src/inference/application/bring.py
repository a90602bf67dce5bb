"""Bringing one version in: fetched, read, checked and warmed up, aside from what serves."""

from dataclasses import dataclass
from datetime import datetime

from flywheel_schemas.spec import SpecError, load_spec
from flywheel_schemas.tokens import TokenKeys
from inference.application.ports import Champions, Copies, ModelRefused, OpensBoosters, Watches
from inference.application.served import ServedModel, make_served
from inference.domain.claims import Artifact, Claim

SPEC_FILE, MODEL_FILE = "spec.yaml", "model.txt"


@dataclass(frozen=True, slots=True)
class World:
    """What the keeper works with."""

    champions: Champions
    copies: Copies
    boosters: OpensBoosters
    watches: Watches
    keys: TokenKeys


def bring(world: World, artifact: Artifact, since: datetime) -> ServedModel:
    """The version, ready to answer as champion. Raises ModelRefused or SourceUnavailable."""
    folder = world.copies.bring(artifact)
    try:
        spec = load_spec(folder / SPEC_FILE)
    except SpecError as exc:
        raise ModelRefused("misfit", f"its spec cannot be read: {exc}") from exc
    booster = world.boosters.open(folder / MODEL_FILE)
    try:
        return make_served(artifact, since, spec, booster, world.keys)
    except (ValueError, RuntimeError) as exc:
        raise ModelRefused("crashed", f"it failed on a first row: {exc}") from exc


def place_of(world: World, claim: Claim) -> Artifact:
    """Where the claimed champion's files lie. Raises ModelRefused or SourceUnavailable."""
    if claim.artifact is not None:
        return claim.artifact
    copy = world.copies.find(claim.model, claim.version)
    return copy or world.champions.find(claim.model, claim.version)
