"""Keeping what serves equal to what should: hears claims, brings models in, swaps them."""

import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from flywheel_schemas.events import ModelUpdated, Variant
from flywheel_schemas.topics import MODEL_UPDATED
from inference.application.bring import World, bring, place_of
from inference.application.catalogue import Catalogue
from inference.application.ports import ModelRefused, SourceUnavailable
from inference.application.served import Lineup, ServedModel, Trial, in_role
from inference.application.shelf import Shelf
from inference.application.watch import Watch, refused
from inference.domain.claims import Artifact, Claim, Contender, claim_of, event_wins, registry_wins
from inference.domain.states import LoadState
from kafka_runtime import messaging
from telemetry import logging, tracing

log = logging.get(__name__)
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Heard:
    """An event of model-updated; `live` once the topic had been read to its end. `traceparent` is its sender's."""

    event: ModelUpdated
    live: bool
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What the registry has just said; `problem` says why it did not."""

    claims: Sequence[Claim]
    problem: str | None = None


Message = Heard | Asked | None


class Keeper:
    """Runs in one thread of its own, so that claims are settled one after the other.

    Order of trust: what has just been published, then the registry, then older events, then the copies on disk.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        world: World,
        shelf: Shelf | None = None,
        *,
        retry_s: float = 5.0,
        now_s: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_trip: Callable[[], None] = lambda: None,
    ) -> None:
        self._catalogue = catalogue
        self._now = now
        self._on_trip = on_trip
        self._world = world
        self._shelf = shelf or Shelf(0)
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
            if self._catalogue.pins.get(claim.model, claim.version) == claim.version:
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
        """Settle the last claim of each model; what is promoted does not concern a pinned one."""
        latest: dict[str, tuple[Claim, Heard]] = {}
        for each in heard:
            if (claim := claim_of(each.event)) is not None and claim.model not in self._catalogue.pins:
                latest[claim.model] = (claim, each)
        for model, (claim, each) in latest.items():
            if event_wins(claim, live=each.live, standing=self._standing.get(model)):
                with messaging.handling(MODEL_UPDATED, each.traceparent):
                    # After a restart old news is read again; it says nothing of how long it took.
                    self._settle(claim if each.live else replace(claim, triggered_at=None))

    def _pause_s(self) -> float | None:
        if not self._owed:
            return None
        return max(min(self._owed.values()) - self._now_s(), 0.001)

    def _retry(self) -> None:
        for model, due in list(self._owed.items()):
            if due <= self._now_s():
                self._settle(self._standing[model])

    def _settle(self, claim: Claim) -> None:
        """Let the claimed versions serve. Whatever goes wrong, what served before serves on."""
        self._standing[claim.model] = claim
        self._owed.pop(claim.model, None)
        named = {"flywheel.model": claim.model, "flywheel.model_version": claim.version}
        with tracing.span("swap model", attributes=named):
            self._swap(claim)

    def _swap(self, claim: Claim) -> None:
        champion = self._champion(claim)
        if champion is None:
            return
        before = self._catalogue.now(claim.model)
        trial = self._trial(claim, champion) if claim.contender else None
        if isinstance(trial, Trial):
            self._catalogue.install(Lineup(champion, trial))
        else:
            self._catalogue.install(Lineup(champion), trial)
        self._put_away(before)

    def _put_away(self, before: Lineup | None) -> None:
        """Keep what served until now, as far as there is room: a rollback then needs nobody."""
        if before is None:
            return
        now = self._catalogue.now(before.name)
        serving = {served.version for served in now.members} if now else set()
        for served in before.members:
            if served.version not in serving:
                self._shelf.put(served)
        self._shelf.trim()

    def _champion(self, claim: Claim) -> ServedModel | None:
        """The claimed champion, ready; None when it cannot be had now."""
        known = self._loaded(claim.model, claim.version, claim.artifact)
        if known is not None and known.variant == Variant.CHAMPION.value:
            return known
        began = time.perf_counter()
        if known is None:
            self._catalogue.want(claim.model, claim.version)
        try:
            served = known or bring(self._world, place_of(self._world, claim), claim.at)
        except ModelRefused as exc:
            self._give_up(claim, LoadState.REFUSED, f"refused ({exc.kind}): {exc}", exc.kind)
            return None
        except SourceUnavailable as exc:
            self._try_again(claim)
            self._give_up(claim, LoadState.UNAVAILABLE, str(exc), "unavailable")
            return None
        self._world.copies.remember(Claim(claim.model, claim.version, claim.at, served.artifact))
        self._world.watches.swapped(claim.model, time.perf_counter() - began)
        if claim.triggered_at is not None:
            self._world.watches.serves_after(claim.model, (self._now() - claim.triggered_at).total_seconds())
        log.info("model_swapped", model=claim.model, version=claim.version)
        return in_role(served, Variant.CHAMPION, self._world.keys)

    def _trial(self, claim: Claim, champion: ServedModel) -> Trial | Watch:
        """The contender, loaded before any traffic moves to it, or what is to be told of why it is not."""
        assert claim.contender is not None  # noqa: S101 - asked for by _settle alone
        contender = claim.contender
        variant = Variant.CHALLENGER if contender.percent > 0.0 else Variant.SHADOW
        try:
            served = self._contender(contender, claim, champion)
        except (ModelRefused, SourceUnavailable) as exc:
            retrying = isinstance(exc, SourceUnavailable)
            if retrying:
                self._try_again(claim)
            kind = exc.kind if isinstance(exc, ModelRefused) else "unavailable"
            self._world.watches.refused(claim.model, kind)
            log.error("challenger_not_loaded", model=claim.model, version=contender.version, reason=str(exc))
            problem = f"not loaded ({kind}): {exc}"
            return refused(claim.model, contender.version, problem, self._now(), retrying=retrying)
        now = self._catalogue.now(claim.model)
        known = now.trial.watch if now and now.trial and now.trial.challenger.version == contender.version else None
        limit = served.spec.rollout.guardrails.error_rate_above
        watch = known or Watch(claim.model, contender.version, limit, self._now())
        watch.on_trip = self._on_trip
        if known is None or (now and now.trial and now.trial.percent != contender.percent):
            log.info("challenger_on_trial", model=claim.model, version=contender.version, percent=contender.percent)
        return Trial(in_role(served, variant, self._world.keys), contender.percent, watch)

    def _contender(self, contender: Contender, claim: Claim, champion: ServedModel) -> ServedModel:
        served = self._loaded(claim.model, contender.version, contender.artifact) or bring(
            self._world, contender.artifact, claim.at
        )
        if served.spec.features != champion.spec.features or served.spec.label != champion.spec.label:
            raise ModelRefused("misfit", "its features or labels are not the champion's; promote it at once instead")
        return served

    def _loaded(self, model: str, version: str, artifact: Artifact | None) -> ServedModel | None:
        """The version, if it is in memory with the very files that are meant."""
        now = self._catalogue.now(model)
        for served in now.members if now else ():
            same = artifact is None or artifact.sha256 == served.artifact.sha256
            if served.version == version and same:
                return served
        return self._shelf.find(model, version, artifact.sha256 if artifact else None)

    def _try_again(self, claim: Claim) -> None:
        self._owed[claim.model] = self._now_s() + self._retry_s

    def _give_up(self, claim: Claim, state: LoadState, problem: str, kind: str) -> None:
        self._catalogue.fail(claim.model, claim.version, state, problem)
        self._world.watches.refused(claim.model, kind)
        log.error("model_not_swapped", model=claim.model, version=claim.version, state=state.value, reason=problem)
