"""What a registered version was made of: rows by source, parameters, and each row of feedback that taught it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from registry import ModelVersion
from trainer.application.ports import Models, Registry


class PinnedRows(Protocol):
    """Pinned training sets, as far as lineage needs them. Both raise what the lake raises."""

    def counts(self, model: str, digest: str) -> Mapping[str, int]:
        """Rows by source; nothing where the set is no longer kept."""

    def page(self, model: str, digest: str, after: str, limit: int) -> pl.DataFrame | None:
        """Rows of feedback that follow the event `after`, in the order of their ids; None where it is not kept."""


@dataclass(frozen=True, slots=True)
class Origin:
    """`record` is what `fitting.record` said: parameters, rounds, library versions."""

    version: ModelVersion
    rows_by_source: Mapping[str, int]
    record: Mapping[str, Any]


class Lineage:
    """Reads the registry, the version's files and its pinned rows."""

    def __init__(self, registry: Registry, models: Models, pinned: PinnedRows) -> None:
        self._registry = registry
        self._models = models
        self._pinned = pinned

    def of(self, model: str, version: str) -> Origin:
        """Raises UnknownVersion."""
        found = self._registry.version(model, version)
        counts = self._pinned.counts(model, found.training_set_hash)
        return Origin(found, counts, self._models.training_record(found))

    def rows(self, model: str, version: str, after: str, limit: int) -> pl.DataFrame | None:
        """A page of the feedback that taught the version; None where its rows are no longer kept."""
        found = self._registry.version(model, version)
        return self._pinned.page(model, found.training_set_hash, after, limit)
