"""Carrying out what people asked to have erased, step by step, each of which may be done again after a crash."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from lake.erasures import Erasure, Tombstone
from registry.versions import ERASED_ROWS
from trainer.application.ports import Runs

# How long a reader may go by tombstones that it read before this one was laid.
SETTLE = timedelta(seconds=30)
# Kafka keeps feedback for 7 days and dead letters for 30; until then a tombstone may be needed.
KEPT = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Learned:
    """A registered version whose training set holds erased events; `events` counts those erased before, too."""

    version: str
    training_set_hash: str
    events: int


class Tags(Protocol):
    """The registry's versions."""

    def tag_version(self, model: str, version: str, name: str, value: str) -> None:
        """Set one of Flywheel's tags."""


class Erasures(Protocol):
    """The erasures of one lake. Every method may be called again, and raises lake errors."""

    def pending(self) -> list[Tombstone]:
        """What is not completed, oldest first."""

    def completed(self) -> list[tuple[Tombstone, Erasure]]:
        """Completed erasures whose tombstone still stands."""

    def record(self, stone: Tombstone) -> Erasure:
        """The audit record so far."""

    def note(self, record: Erasure) -> None:
        """Write the audit record."""

    def forget(self, stone: Tombstone) -> None:
        """Remove the tombstone."""

    def models(self) -> list[str]:
        """Every model with data."""

    def events(self, model: str, stone: Tombstone) -> set[str]:
        """Ids of the covered feedback, gone or not."""

    def predictions(self, model: str, stone: Tombstone) -> int:
        """How many covered predictions are still there."""

    def learned(self, model: str, events: set[str]) -> list[Learned]:
        """Versions whose pinned training set still holds some of the events."""

    def strip(self, model: str, training_set_hash: str, events: set[str]) -> None:
        """Rewrite a pinned training set without the events."""

    def erase(self, model: str, stone: Tombstone) -> Mapping[str, int]:
        """Take the covered rows out of the tables; rows taken now, by table."""


class Erase:
    """Works off the tombstones. The tag `flywheel.erased_rows` names versions that had learned from erased feedback."""

    def __init__(self, erasures: Erasures, registry: Tags, runs: Runs, now: Callable[[], datetime]) -> None:
        self._erasures = erasures
        self._registry = registry
        self._runs = runs
        self._now = now

    def __call__(self) -> int:
        """One round over everything that is not completed; how many were completed in it."""
        done = [stone for stone in self._erasures.pending() if self._carry_out(stone)]
        for stone, record in self._erasures.completed():
            if record.completed_at and self._now() - record.completed_at > KEPT:
                self._erasures.forget(stone)
        return len(done)

    def _carry_out(self, stone: Tombstone) -> bool:
        # A moment read before the tables are: what comes in after it must show up in the next round.
        settled = self._now() - stone.erased_before >= SETTLE and not self._training_since(stone)
        left = [model for model in self._erasures.models() if self._erase_from(model, stone)]
        if left or not settled:
            return False
        self._erasures.note(replace(self._erasures.record(stone), completed_at=self._now()))
        return True

    def _erase_from(self, model: str, stone: Tombstone) -> bool:
        """Whether there was anything left to do. Versions are tagged, and the account written, before rows go."""
        events = self._erasures.events(model, stone)
        learned = self._erasures.learned(model, events) if events else []
        for one in learned:
            self._registry.tag_version(model, one.version, ERASED_ROWS, str(one.events))
        self._account(model, stone, len(events), learned)
        for training_set_hash in sorted({one.training_set_hash for one in learned}):
            self._erasures.strip(model, training_set_hash, events)
        return bool(self._erasures.erase(model, stone)) or bool(learned)

    def _account(self, model: str, stone: Tombstone, events: int, learned: list[Learned]) -> None:
        record = self._erasures.record(stone)
        before = record.rows.get(model, {})
        predictions = max(before.get("predictions", 0), self._erasures.predictions(model, stone))
        counted = {"feedback": events, "predictions": predictions}
        versions = {*record.versions.get(model, ()), *(one.version for one in learned)}
        if not any(counted.values()):
            return
        self._erasures.note(
            replace(
                record,
                rows={**record.rows, model: counted},
                versions={**record.versions, model: sorted(versions, key=int)} if versions else record.versions,
            )
        )

    def _training_since(self, stone: Tombstone) -> bool:
        """Whether a training that began before everybody honoured the tombstone has not registered its version yet."""
        return any(
            run.version is None and run.ended_at is None and not run.failed and run.outcome is None
            and run.started_at <= stone.erased_before + SETTLE
            for model in self._erasures.models()
            for run in self._runs.all(model)
        )  # fmt: skip
