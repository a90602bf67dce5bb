"""The versions of a model's feedback in the lake, and the upkeep of its tables."""

from collections.abc import Callable, Set
from datetime import datetime
from typing import get_args
from uuid import uuid4

from typing_extensions import override

from flywheel_schemas.spec_model import RetentionPolicy
from lake import Lake, diff, rollback, versions
from lake.diff import Diff
from lake.pins import Pins
from lake.rollback import Rollback
from lake.schema import Kind
from lake.upkeep import Upkeep, keep_up
from lake.versions import Size, Version
from trainer.application.ports import DatasetVersions, Tables


class LakeVersions(DatasetVersions):
    """Lists, compares and rolls back. Nothing is kept here; safe to use from several threads."""

    def __init__(self, lake: Lake, now: Callable[[], datetime]) -> None:
        self._lake = lake
        self._now = now

    @override
    def versions(self, model: str, limit: int) -> list[Version]:
        return versions.list_versions(self._lake.table(model, "feedback"), limit)

    @override
    def rows(self, model: str) -> int:
        table = self._lake.table(model, "feedback")
        return versions.row_count(table) if table.exists() else 0

    @override
    def diff(self, model: str, from_version: int, to_version: int | None) -> Diff:
        return diff.diff(self._lake.table(model, "feedback"), from_version, to_version)

    @override
    def preview(self, model: str, to_version: int) -> Diff:
        return rollback.preview(self._lake, model, to_version)

    @override
    def roll_back(self, model: str, to_version: int, reason: str, who: str) -> Rollback:
        wanted = rollback.asked(self._lake, model, to_version, uuid4(), reason=reason, who=who, at=self._now())
        return rollback.rollback(self._lake, model, wanted)


class LakeTables(Tables):
    """The tables and training sets of one lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    @override
    def tend(self, model: str, retention: RetentionPolicy, now: datetime, *, full: bool) -> list[Upkeep]:
        return keep_up(self._lake, model, retention, now, full=full)

    def sizes(self, model: str) -> dict[str, Size]:
        """How large each table of the model is that there is."""
        tables = {kind: self._lake.table(model, kind) for kind in get_args(Kind)}
        return {kind: versions.size(table) for kind, table in tables.items() if table.exists()}

    @override
    def expire(self, model: str, retention: RetentionPolicy, in_use: Set[str]) -> list[str]:
        return Pins(self._lake, model).expire(retention, in_use)
