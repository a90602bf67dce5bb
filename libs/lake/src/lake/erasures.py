"""What people asked to have erased: tombstones that every reader honours, and the audit records of what was done.

A tombstone is one object, `_flywheel/tombstones/{user hash}/{erasure id}.json`, so asking is one write. It covers
what was received up to its moment; what the user says later counts again. The audit record,
`_flywheel/erasures/{erasure id}.json`, names no user, not even by hash, and outlives the tombstone.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import polars as pl

from lake.objects import Objects

_TOMBSTONES, _RECORDS = "_flywheel/tombstones/", "_flywheel/erasures/"
ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Everything of the user that was received up to `erased_before` is erased."""

    user_hash: str
    erasure_id: str
    erased_before: datetime
    asked_by: str

    @property
    def marker(self) -> str:
        """What the quarantine keeps in place of an erased event's record."""
        return json.dumps({"erasure_id": self.erasure_id})


@dataclass(frozen=True, slots=True)
class Erasure:
    """The audit record. `rows` counts what went, by model and table; `versions` are those that had learned from it."""

    erasure_id: str
    asked_at: datetime
    asked_by: str
    completed_at: datetime | None = None
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    versions: Mapping[str, list[str]] = field(default_factory=dict)


class Tombstones:
    """The tombstones in force, by user."""

    def __init__(self, all_: Iterable[Tombstone]) -> None:
        self.by_user: dict[str, Tombstone] = {}
        for one in sorted(all_, key=lambda each: (each.erased_before, each.erasure_id)):
            self.by_user[one.user_hash] = one

    def covering(self, user_hash: str | None, received_at: datetime) -> Tombstone | None:
        """The tombstone under which feedback of this user, received then, is erased."""
        found = self.by_user.get(user_hash) if user_hash else None
        return found if found and received_at <= found.erased_before else None

    def honoured(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """`frame` (with user_hash and received_at) without what is erased."""
        if not self.by_user:
            return frame
        until = {user: one.erased_before for user, one in self.by_user.items()}
        erased_before = pl.col("user_hash").replace_strict(until, default=None, return_dtype=pl.Datetime("us", "UTC"))
        return frame.filter((pl.col("received_at") > erased_before).fill_null(value=True))


class Erasures:
    """Asks for erasures, and keeps account of them. Every method raises lake errors."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._read: dict[str, Tombstone] = {}

    def ask(self, user_hash: str, erasure_id: UUID, now: datetime, asked_by: str) -> Tombstone:
        """Lay the tombstone. When this returns, every reader honours it within seconds."""
        stone = Tombstone(user_hash, str(erasure_id), now.astimezone(UTC), asked_by)
        said = {"erased_before": stone.erased_before.isoformat(), "asked_by": asked_by}
        self._objects.put(_tombstone_key(stone), json.dumps(said).encode())
        return stone

    def tombstones(self) -> Tombstones:
        """Those in force now; each is fetched once in the life of this object."""
        keys = self._objects.list(_TOMBSTONES)
        for key in keys:
            if key not in self._read and (raw := self._objects.get(key)) is not None:
                self._read[key] = _tombstone(key, raw)
        for gone in self._read.keys() - set(keys):
            del self._read[gone]
        return Tombstones(self._read.values())

    def all(self) -> list[Tombstone]:
        """Every tombstone that stands."""
        self.tombstones()
        return list(self._read.values())

    def pending(self) -> list[Tombstone]:
        """Tombstones whose erasure is not completed, oldest first."""
        self.tombstones()
        done = {each.erasure_id for each in self.records() if each.completed_at}
        return sorted((s for s in self._read.values() if s.erasure_id not in done), key=lambda s: s.erased_before)

    def records(self) -> list[Erasure]:
        """The audit records, newest first; an erasure that was asked for and not yet begun has one too."""
        written = [self._objects.get(key) for key in self._objects.list(_RECORDS)]
        found = {one.erasure_id: one for one in (_record(raw) for raw in written if raw)}
        self.tombstones()
        for stone in self._read.values():
            begun = Erasure(stone.erasure_id, stone.erased_before, stone.asked_by)
            found.setdefault(stone.erasure_id, begun)
        return sorted(found.values(), key=lambda one: (one.asked_at, one.erasure_id), reverse=True)

    def note(self, record: Erasure) -> None:
        """Write the audit record as it is now."""
        said = asdict(record) | {
            "asked_at": record.asked_at.isoformat(),
            "completed_at": record.completed_at and record.completed_at.isoformat(),
        }
        self._objects.put(f"{_RECORDS}{record.erasure_id}.json", json.dumps(said, sort_keys=True).encode())

    def forget(self, stone: Tombstone) -> None:
        """Remove a tombstone that nothing can need any more, and with it the user's hash."""
        self._objects.delete(_tombstone_key(stone))


def _tombstone_key(stone: Tombstone) -> str:
    return f"{_TOMBSTONES}{stone.user_hash}/{stone.erasure_id}.json"


def _tombstone(key: str, raw: bytes) -> Tombstone:
    user_hash, _, name = key.removeprefix(_TOMBSTONES).partition("/")
    said = json.loads(raw)
    return Tombstone(
        user_hash, name.removesuffix(".json"), datetime.fromisoformat(said["erased_before"]), said["asked_by"]
    )


def _record(raw: bytes) -> Erasure:
    said = json.loads(raw)
    moments = {name: said[name] and datetime.fromisoformat(said[name]) for name in ("asked_at", "completed_at")}
    return Erasure(**{**said, **moments})
