"""How a version comes to serve, and ceases to: pure steps from one state of a model to the next.

A step says what the registry must hold and what is announced. Shadow and canary are states of a version already,
so that gradual strategies add transitions here and change nothing that reads states.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flywheel_schemas.events import GateReport, ModelAction
from flywheel_schemas.spec import RolloutPolicy
from registry.versions import VersionState
from trainer.domain.errors import NotAllowed

INSTANT_INSTEAD = "gradual steps are not built yet, so it serves all traffic at once"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one version of a model stands now."""

    version: str
    state: VersionState
    previous_champion: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One version's new state."""

    version: str
    state: VersionState
    traffic_percent: float


@dataclass(frozen=True, slots=True)
class Step:
    """One transition. `champion` is who serves after it; `previous` who served before, where that changed."""

    action: ModelAction
    version: str
    champion: str | None
    previous: str | None
    changes: tuple[Change, ...]
    reason: str


def after_gates(
    candidate: Standing, champion: Standing | None, gates: Sequence[GateReport], policy: RolloutPolicy
) -> Step:
    """Promote the candidate when every gate let it through, else reject it; the champion then serves on."""
    failed = [gate for gate in gates if not gate.passed]
    if failed:
        return reject(candidate, champion, "; ".join(f"{gate.name}: {gate.reason}" for gate in failed))
    note = "" if policy.strategy == "instant" else f" (strategy {policy.strategy}: {INSTANT_INSTEAD})"
    return take_over(candidate, champion, f"passed {len(gates)} gates{note}")


def reject(candidate: Standing, champion: Standing | None, reason: str) -> Step:
    """The candidate will not serve."""
    change = Change(candidate.version, VersionState.REJECTED, 0.0)
    serving = champion.version if champion else None
    return Step(ModelAction.REJECTED, candidate.version, serving, None, (change,), reason)


def promote(target: Standing, champion: Standing | None, reason: str, *, force: bool) -> Step:
    """A person makes `target` the champion. Raises NotAllowed for one that serves, or was rejected without `force`."""
    if champion and champion.version == target.version:
        raise NotAllowed(f"version {target.version} is the champion already")
    if target.state is VersionState.REJECTED and not force:
        raise NotAllowed(f"version {target.version} was rejected by its gates; force lets it serve nevertheless")
    return take_over(target, champion, reason)


def rollback(champion: Standing | None, target: Standing | None, reason: str) -> Step:
    """A person puts `target` back in the champion's place. Raises NotAllowed where there is nothing to go back to."""
    if champion is None:
        raise NotAllowed("no version serves, so there is nothing to roll back")
    if target is None:
        raise NotAllowed(f"version {champion.version} is the first champion; name the version to go back to")
    if target.version == champion.version:
        raise NotAllowed(f"version {target.version} is the champion already")
    if target.state is VersionState.REJECTED:
        raise NotAllowed(f"version {target.version} was rejected by its gates; promote it with force instead")
    changes = (
        Change(target.version, VersionState.PROMOTED, 100.0),
        Change(champion.version, VersionState.ROLLED_BACK, 0.0),
    )
    return Step(ModelAction.ROLLED_BACK, champion.version, target.version, champion.version, changes, reason)


def take_over(target: Standing, champion: Standing | None, reason: str) -> Step:
    """`target` serves all traffic, and the champion none."""
    changes = [Change(target.version, VersionState.PROMOTED, 100.0)]
    if champion:
        changes.append(Change(champion.version, VersionState.RETIRED, 0.0))
    previous = champion.version if champion else None
    return Step(ModelAction.PROMOTED, target.version, target.version, previous, tuple(changes), reason)
