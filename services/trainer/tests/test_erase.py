"""Erasures, with everything outside replaced, and a crash after each step."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from lake.erasures import Erasure, Tombstone
from trainer.application.erase import KEPT, SETTLE, Erase, Learned

ASKED = datetime(2026, 3, 1, tzinfo=UTC)


class Crash(Exception):
    pass


@dataclass
class World:
    """One model with two events of the user, two predictions, and a version that learned from one event."""

    stone: Tombstone = field(default_factory=lambda: Tombstone("a" * 32, str(uuid.uuid4()), ASKED, "operator"))
    rows: int = 2
    answers: int = 2
    pinned: set = field(default_factory=lambda: {"e1", "other"})
    tags: dict = field(default_factory=dict)
    kept: Erasure | None = None
    stands: bool = True
    running: list = field(default_factory=list)
    steps: int = 0
    dies_at: int | None = None

    def _step(self):
        self.steps += 1
        if self.steps == self.dies_at:
            raise Crash

    def pending(self):
        return [] if self.kept and self.kept.completed_at else [self.stone]

    def completed(self):
        return [(self.stone, self.kept)] if self.stands and self.kept and self.kept.completed_at else []

    def record(self, stone):
        return self.kept or Erasure(stone.erasure_id, ASKED, "operator")

    def note(self, record):
        self._step()
        self.kept = record

    def forget(self, stone):
        self.stands = False

    def models(self):
        return ["flights"]

    def events(self, model, stone):
        return {"e1", "e2"}

    def predictions(self, model, stone):
        return self.answers

    def learned(self, model, events):
        return [Learned("3", "hash", len(events & self.pinned))] if events & self.pinned else []

    def strip(self, model, training_set_hash, events):
        self._step()
        self.pinned -= events

    def erase(self, model, stone):
        self._step()
        gone = {"feedback": self.rows, "predictions": self.answers}
        self.rows = self.answers = 0
        self._step()
        return {kind: count for kind, count in gone.items() if count}

    def tag_version(self, model, version, name, value):
        self._step()
        self.tags[version] = (name, value)

    def all(self, model):
        return self.running


def erase(world, now=ASKED + SETTLE):
    return Erase(world, world, world, lambda: now)


def test_rows_versions_and_training_sets_are_dealt_with_before_it_is_completed():
    world = World()
    assert erase(world)() == 0
    assert (world.rows, world.answers, world.pinned, world.tags) == (0, 0, {"other"}, {"3": ("erased_rows", "1")})
    assert erase(world)() == 1
    assert world.kept.completed_at
    assert world.kept.rows == {"flights": {"feedback": 2, "predictions": 2}}
    assert world.kept.versions == {"flights": ["3"]}
    assert "a" * 32 not in str(world.kept)


@pytest.mark.parametrize("step", range(1, 9))
def test_a_crash_at_any_step_changes_neither_the_end_nor_the_account(step):
    world = World(dies_at=step)
    for _ in range(5):
        try:
            erase(world)()
        except Crash:
            continue
    assert (world.rows, world.answers, world.pinned, world.tags) == (0, 0, {"other"}, {"3": ("erased_rows", "1")})
    assert world.kept.completed_at
    assert world.kept.rows == {"flights": {"feedback": 2, "predictions": 2}}
    assert world.kept.versions == {"flights": ["3"]}


def test_it_is_not_completed_while_somebody_may_not_have_heard_of_it():
    world = World(rows=0, answers=0, pinned=set())
    assert erase(world, ASKED + SETTLE - timedelta(seconds=1))() == 0
    assert erase(world)() == 1


@dataclass
class Running:
    started_at: datetime
    version: str | None = None
    ended_at: datetime | None = None
    failed: bool = False
    outcome: str | None = None


def test_it_waits_for_a_training_that_began_before_and_goes_over_what_that_leaves():
    world = World(rows=0, answers=0, pinned=set(), running=[Running(ASKED - timedelta(minutes=5))])
    assert erase(world)() == 0
    world.running[0].version = "4"
    world.pinned = {"e2"}
    assert erase(world)() == 0
    assert world.pinned == set()
    assert erase(world)() == 1


def test_the_tombstone_goes_when_kafka_cannot_hold_the_users_words_any_more():
    world = World()
    for _ in range(2):
        erase(world)()
    erase(world, ASKED + KEPT)()
    assert world.stands
    erase(world, ASKED + KEPT + timedelta(days=1))()
    assert not world.stands
