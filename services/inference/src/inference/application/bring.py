"""Bringing one version in: fetched, read, checked and warmed up, aside from what serves."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from flywheel_schemas.spec import ModelSpec, SpecError, parse_spec
from flywheel_schemas.tokens import TokenKeys
from inference.application.ports import Champions, Copies, ModelRefused, OpensBoosters, Watches
from inference.application.served import ServedModel, make_served
from inference.domain.claims import Artifact, Claim

SPEC_FILE, MODEL_FILE = "spec.yaml", "model.txt"
_SPECS_KEPT = 256


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
        spec = _spec((folder / SPEC_FILE).read_text(encoding="utf-8"))
    except (SpecError, OSError, UnicodeDecodeError) as exc:
        raise ModelRefused("misfit", f"its spec cannot be read: {exc}") from exc
    booster = world.boosters.open(folder / MODEL_FILE)
    try:
        return make_served(artifact, since, spec, booster, world.keys)
    except (ValueError, RuntimeError) as exc:
        raise ModelRefused("crashed", f"it failed on a first row: {exc}") from exc


@lru_cache(maxsize=_SPECS_KEPT)
def _spec(text: str) -> ModelSpec:
    """Most versions of a model have one spec, and to read it holds Python's lock for some 7 ms."""
    return parse_spec(text, SPEC_FILE)


def place_of(world: World, claim: Claim) -> Artifact:
    """Where the claimed champion's files lie. Raises ModelRefused or SourceUnavailable."""
    if claim.artifact is not None:
        return claim.artifact
    copy = world.copies.find(claim.model, claim.version)
    return copy or world.champions.find(claim.model, claim.version)
