"""The admin API of the dataset: its versions, what changed between two of them, and the way back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field

from lake.diff import Diff
from lake.versions import Version
from trainer.application.ports import DatasetVersions
from trainer.application.upkeep import KeepUp
from trainer.entrypoints.routes import Name, Operator, Reader, name, problems_of

Number = Annotated[int, Field(ge=0, le=2**53)]


class DatasetRollback(BaseModel):
    """Make the dataset equal to `version`, as a new version. With `preview` nothing is done but said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Number
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    preview: bool = False


class VersionShown(BaseModel):
    """One commit of the feedback table. `rows` is how many it added; `who` asked for it, `note` why, where one did."""

    version: int
    at: datetime
    operation: str
    rows: int
    note: str | None
    who: str | None


class Versions(BaseModel):
    """The versions that the log still tells of, newest first; `rows` is how many the newest holds."""

    model: str
    rows: int
    versions: list[VersionShown]


class ChangeShown(BaseModel):
    """Rows of one day, source, model version and label."""

    model_config = ConfigDict(protected_namespaces=(), from_attributes=True)

    day: date | None
    source: str | None
    model_version: str | None
    label: str | None
    added: int
    removed: int
    relabelled: int


class DiffShown(BaseModel):
    """What leads from one version to the other. `relabelled` counts predictions whose newest word changed."""

    model: str
    from_version: int
    to_version: int
    added: int
    removed: int
    relabelled: int
    changes: list[ChangeShown]


class RolledBack(BaseModel):
    """`version` is the new version, equal to `to_version`; null for a preview. `changes` is what that changes."""

    model: str
    to_version: int
    version: int | None
    preview: bool
    changes: DiffShown


class TableTended(BaseModel):
    """One table after upkeep: its files, and how many were merged, indexed (rows) and vacuumed. `busy`: left alone."""

    model_config = ConfigDict(from_attributes=True)

    table: str
    files: int
    compacted: int
    indexed: int
    vacuumed: int
    busy: str | None


class TendedShown(BaseModel):
    """What upkeep did."""

    model: str
    tables: list[TableTended]
    training_sets_removed: list[str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What the API offers. `known(model)` raises NoSuchModel."""

    versions: DatasetVersions
    keep_up: KeepUp
    known: Callable[[str], Any]


def install(app: FastAPI, offered: Dataset) -> None:
    """Add the routes."""
    dataset, known = offered.versions, offered.known

    @app.get("/v1/models/{model}/dataset", tags=["dataset"], responses=problems_of(404, 503))
    def versions(model: Name, _: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Versions:
        """The versions of the dataset, newest first."""
        known(model)
        found = [_shown(version) for version in dataset.versions(model, limit)]
        return Versions(model=model, rows=dataset.rows(model), versions=found)

    @app.get("/v1/models/{model}/dataset/diff", tags=["dataset"], responses=problems_of(404, 410, 503))
    def diff(
        model: Name,
        _: Reader,
        from_: Annotated[int, Query(alias="from", ge=0)],
        to: Annotated[int | None, Query(ge=0)] = None,
    ) -> DiffShown:
        """Rows and labels that changed from one version to another (unless given: the newest)."""
        known(model)
        return _diff(model, dataset.diff(model, from_, to))

    @app.post("/v1/models/{model}/dataset/rollback", tags=["dataset"], responses=problems_of(404, 410, 503))
    def roll_back(model: Name, asked: DatasetRollback, who: Operator) -> RolledBack:
        """Make the dataset equal to an earlier version, as a new version. Later feedback goes on top."""
        known(model)
        changes = _diff(model, dataset.preview(model, asked.version))
        done = None
        if not asked.preview:
            done = dataset.roll_back(model, asked.version, asked.reason, name(who)).version
        return RolledBack(model=model, to_version=asked.version, version=done, preview=asked.preview, changes=changes)

    @app.post("/v1/models/{model}/dataset/upkeep", tags=["dataset"], responses=problems_of(404, 503))
    def upkeep(model: Name, _: Operator) -> TendedShown:
        """Compact, vacuum and index the model's tables now. The trainer does so by itself every minute or so."""
        done = offered.keep_up(model)
        tables = [TableTended.model_validate(one) for one in done.tables]
        return TendedShown(model=model, tables=tables, training_sets_removed=done.training_sets_removed)


def _shown(version: Version) -> VersionShown:
    return VersionShown(
        version=version.version,
        at=version.committed_at,
        operation=version.operation,
        rows=version.rows_added,
        note=version.note,
        who=version.who,
    )


def _diff(model: str, found: Diff) -> DiffShown:
    return DiffShown(
        model=model,
        from_version=found.from_version,
        to_version=found.to_version,
        added=found.added,
        removed=found.removed,
        relabelled=found.relabelled,
        changes=[ChangeShown.model_validate(change) for change in found.changes],
    )
