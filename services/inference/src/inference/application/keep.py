"""Keeping what serves equal to what should: hears claims, brings models in, swaps them."""

import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from flywheel_schemas.events import ModelUpdated
from flywheel_schemas.spec import SpecError, load_spec
from flywheel_schemas.tokens import TokenKeys
from inference.application.catalogue import Catalogue
from inference.application.ports import (
    Champions,
    Copies,
    ModelRefused,
    OpensBoosters,
    SourceUnavailable,
    Watches,
)
from inference.application.served import ServedModel, make_served
from inference.domain.claims import Artifact, Claim, claim_of, event_wins, registry_wins
from inference.domain.states import LoadState
from telemetry import logging

log = logging.get(__name__)
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
SPEC_FILE, MODEL_FILE = "spec.yaml", "model.txt"


@dataclass(frozen=True, slots=True)
class Heard:
    """An event of model-updated; `live` once the topic had been read to its end."""

    event: ModelUpdated
    live: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What the registry has just said; `problem` says why it did not."""

    claims: Sequence[Claim]
    problem: str | None = None


Message = Heard | Asked | None


@dataclass(frozen=True, slots=True)
class World:
    """What the keeper works with."""

    champions: Champions
    copies: Copies
    boosters: OpensBoosters
    watches: Watches
    keys: TokenKeys


class Keeper:
    """Runs in one thread of its own, so that claims are settled one after the other.

    Order of trust: what has just been published, then the registry, then older events, then the copies on disk.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        world: World,
        *,
        retry_s: float = 5.0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalogue = catalogue
        self._world = world
        self._retry_s = retry_s
        self._now_s = now_s
        self._inbox: queue.Queue[Message] = queue.Queue()
        self._standing: dict[str, Claim] = {}
        self._registry_said: dict[str, str] = {}
        self._owed: dict[str, float] = {}

    def hear(self, message: Message) -> None:
        """Take an event or the registry's answer; from any thread."""
        self._inbox.put(message)

    @property
    def behind(self) -> bool:
        """Whether something waits to be settled."""
        return not self._inbox.empty()

    def stop(self) -> None:
        """Let `run` return; from any thread."""
        self._inbox.put(None)

    def run(self) -> None:
        """Load the copies on disk, then settle what is heard until `stop`."""
        for claim in self._world.copies.last_served():
            self._settle(replace(claim, at=_BEFORE_ALL))
        while True:
            try:
                first = self._inbox.get(timeout=self._pause_s())
            except queue.Empty:
                self._retry()
                continue
            waiting = [first, *self._waiting()]
            if None in waiting:
                return
            for message in waiting:
                if isinstance(message, Asked):
                    self._settle_registry(message)
            self._settle_events([message for message in waiting if isinstance(message, Heard)])

    def _waiting(self) -> list[Message]:
        waiting: list[Message] = []
        while not self._inbox.empty():
            waiting.append(self._inbox.get_nowait())
        return waiting

    def _settle_registry(self, asked: Asked) -> None:
        for claim in asked.claims:
            last_seen = self._registry_said.get(claim.model)
            if registry_wins(claim, last_seen=last_seen, standing=self._standing.get(claim.model)):
                self._settle(claim)
            self._registry_said[claim.model] = claim.version
        if self._catalogue.registry_said(asked.problem) and asked.problem:
            log.warning("registry_unavailable", reason=asked.problem)

    def _settle_events(self, heard: Sequence[Heard]) -> None:
        """Settle the last claim of each model."""
        latest: dict[str, tuple[Claim, bool]] = {}
        for each in heard:
            if (claim := claim_of(each.event)) is not None:
                latest[claim.model] = (claim, each.live)
        for model, (claim, live) in latest.items():
            if event_wins(claim, live=live, standing=self._standing.get(model)):
                self._settle(claim)

    def _pause_s(self) -> float | None:
        if not self._owed:
            return None
        return max(min(self._owed.values()) - self._now_s(), 0.001)

    def _retry(self) -> None:
        for model, due in list(self._owed.items()):
            if due <= self._now_s():
                self._settle(self._standing[model])

    def _settle(self, claim: Claim) -> None:
        """Let the claimed version serve. Whatever goes wrong, what served before serves on."""
        self._standing[claim.model] = claim
        self._owed.pop(claim.model, None)
        if self._serves(claim):
            return
        began = time.perf_counter()
        self._catalogue.want(claim.model, claim.version)
        try:
            served = self._bring(claim)
        except ModelRefused as exc:
            self._give_up(claim, LoadState.REFUSED, f"refused ({exc.kind}): {exc}", exc.kind)
        except SourceUnavailable as exc:
            self._owed[claim.model] = self._now_s() + self._retry_s
            self._give_up(claim, LoadState.UNAVAILABLE, str(exc), "unavailable")
        else:
            self._catalogue.install(served)
            self._world.copies.remember(Claim(claim.model, claim.version, claim.at, served.artifact))
            self._world.watches.swapped(claim.model, time.perf_counter() - began)
            log.info("model_swapped", model=claim.model, version=claim.version)

    def _serves(self, claim: Claim) -> bool:
        served = self._catalogue.now(claim.model)
        if served is None or served.version != claim.version:
            return False
        if claim.artifact is not None and claim.artifact.sha256 != served.artifact.sha256:
            return False
        self._catalogue.install(served)  # an earlier wish for another version is void
        return True

    def _bring(self, claim: Claim) -> ServedModel:
        artifact = claim.artifact or self._find(claim)
        folder = self._world.copies.bring(artifact)
        try:
            spec = load_spec(folder / SPEC_FILE)
        except SpecError as exc:
            raise ModelRefused("misfit", f"its spec cannot be read: {exc}") from exc
        booster = self._world.boosters.open(folder / MODEL_FILE)
        try:
            return make_served(artifact, claim.at, spec, booster, self._world.keys)
        except (ValueError, RuntimeError) as exc:
            raise ModelRefused("crashed", f"it failed on a first row: {exc}") from exc

    def _find(self, claim: Claim) -> Artifact:
        copy = self._world.copies.find(claim.model, claim.version)
        return copy or self._world.champions.find(claim.model, claim.version)

    def _give_up(self, claim: Claim, state: LoadState, problem: str, kind: str) -> None:
        self._catalogue.fail(claim.model, claim.version, state, problem)
        self._world.watches.refused(claim.model, kind)
        log.error("model_not_swapped", model=claim.model, version=claim.version, state=state.value, reason=problem)
