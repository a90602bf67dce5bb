"""Tending every model's tables, and letting go of training sets that no model needs any more."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from lake.upkeep import Upkeep
from registry import VersionState
from telemetry import logging
from trainer.application.ports import Datasets, Registry, Tables

_LOG = logging.get(__name__)
_FULL_EVERY = timedelta(days=1)
# What serves, or may yet: its training set is kept however old it is.
_IN_USE = frozenset({VersionState.PROMOTED, VersionState.CANARY, VersionState.SHADOW, VersionState.REGISTERED})


@dataclass(frozen=True, slots=True)
class Tended:
    """What was done: by table, and the hashes of the training sets that were removed."""

    tables: list[Upkeep]
    training_sets_removed: list[str]


class KeepUp:
    """Safe to run at any time and in several processes: tables that others work on are left alone."""

    def __init__(self, datasets: Datasets, registry: Registry, tables: Tables, now: Callable[[], datetime]) -> None:
        self._datasets = datasets
        self._registry = registry
        self._tables = tables
        self._now = now
        self._full_at: dict[str, datetime] = {}

    def __call__(self, model: str, *, full: bool = True) -> Tended:
        """Tend one model now; `full` also looks for files and training sets that nobody names. Raises NoSuchModel."""
        spec, now = self._datasets.spec(model), self._now()
        tables = self._tables.tend(model, spec.retention, now, full=full)
        removed: list[str] = []
        if full:
            in_use = {one.training_set_hash for one in self._registry.versions(model) if one.state in _IN_USE}
            removed = self._tables.expire(model, spec.retention, in_use)
            self._full_at[model] = now
        for one in tables:
            if one.compacted or one.vacuumed or one.indexed:
                _LOG.info(
                    "table_tended", model=model, table=one.table, files=one.files, compacted=one.compacted,
                    indexed=one.indexed, vacuumed=one.vacuumed,
                )  # fmt: skip
        if removed:
            _LOG.info("training_sets_removed", model=model, digests=removed)
        return Tended(tables, removed)

    def all(self) -> Iterator[Tended]:
        """Tend every model, one after the other; fully once a day."""
        for model in self._datasets.models():
            last = self._full_at.get(model)
            yield self(model, full=last is None or self._now() - last >= _FULL_EVERY)
