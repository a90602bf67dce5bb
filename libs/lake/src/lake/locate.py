"""Where one event ended up."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Literal

from lake import versions
from lake.erasures import ERASED
from lake.lake import Lake
from lake.lookup import TableLookup

_BESIDE = 8


@dataclass(frozen=True, slots=True)
class EventLocation:
    """One event in the lake. `dataset_version` is the table's version that first held it (None: the log forgot)."""

    event_id: str
    model: str
    status: Literal["stored", "quarantined", "erased"]
    dataset_version: int | None
    received_at: datetime
    kafka_partition: int
    kafka_offset: int
    reason: str | None = None
    model_version: str | None = None
    prediction_id: str | None = None


class Events:
    """Finds events; keep one for long, since it remembers what it has seen of the tables."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lookup = cache(self._opened)
        self._beside = ThreadPoolExecutor(_BESIDE, thread_name_prefix="tombstones")

    def find(self, event_id: str, models: Iterable[str]) -> EventLocation | None:
        """The event in the dataset or the quarantine of one of `models`, or None."""
        for model in models:
            if found := self._in_feedback(model, event_id) or self._in_quarantine(model, event_id):
                return found
        return None

    def _in_feedback(self, model: str, event_id: str) -> EventLocation | None:
        # Asked for while the row is looked for: both are round trips to the store.
        tombstones = self._beside.submit(self._lake.erasures.tombstones)
        row = self._lookup(model, "feedback").find(event_id)
        if row is None:
            return None
        version = row.pop("dataset_version")
        if tombstones.result().covering(row.pop("user_hash"), row["received_at"]):
            row |= {"reason": ERASED, "model_version": None, "prediction_id": None}
            return EventLocation(event_id=event_id, model=model, status="erased", dataset_version=None, **row)
        if version is None:
            version = _first_version(self._lake, model, row["kafka_partition"], row["kafka_offset"])
        return EventLocation(event_id=event_id, model=model, status="stored", dataset_version=version, **row)

    def _in_quarantine(self, model: str, event_id: str) -> EventLocation | None:
        row = self._lookup(model, "quarantine").find(event_id)
        if row is None:
            return None
        del row["dataset_version"]
        status: Literal["quarantined", "erased"] = "erased" if row["reason"] == ERASED else "quarantined"
        return EventLocation(event_id=event_id, model=model, status=status, dataset_version=None, **row)

    def _opened(self, model: str, kind: Literal["feedback", "quarantine"]) -> TableLookup:
        more = ("model_version", "prediction_id", "user_hash") if kind == "feedback" else ("reason",)
        return TableLookup(self._lake, model, kind, ("received_at", *more))


def find_event(lake: Lake, event_id: str, models: Iterable[str]) -> EventLocation | None:
    """`Events.find`, for whoever asks once."""
    return Events(lake).find(event_id, models)


def _first_version(lake: Lake, model: str, partition: int, offset: int) -> int | None:
    for version in versions.walk(lake.table(model, "feedback")):
        part = version.flush.get("partitions", {}).get(str(partition))
        if part and part["first_offset"] <= offset <= part["last_offset"]:
            return version.version
    return None
