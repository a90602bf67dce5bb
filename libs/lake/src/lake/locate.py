"""Where one event ended up."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import polars as pl

from lake import read, versions
from lake.erasures import ERASED
from lake.lake import Lake


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


def find_event(lake: Lake, event_id: str, models: Iterable[str]) -> EventLocation | None:
    """The event in the dataset or the quarantine of one of `models`, or None. Reads one column of the tables."""
    for model in models:
        if found := _in_feedback(lake, model, event_id) or _in_quarantine(lake, model, event_id):
            return found
    return None


def _in_feedback(lake: Lake, model: str, event_id: str) -> EventLocation | None:
    columns = ("model_version", "prediction_id", "user_hash")
    row = _row(lake, model, "feedback", event_id, columns)
    if row is None:
        return None
    if lake.erasures.tombstones().covering(row.pop("user_hash"), row["received_at"]):
        row |= {"reason": ERASED, "model_version": None, "prediction_id": None}
        return EventLocation(event_id=event_id, model=model, status="erased", dataset_version=None, **row)
    version = _first_version(lake, model, row["kafka_partition"], row["kafka_offset"])
    return EventLocation(event_id=event_id, model=model, status="stored", dataset_version=version, **row)


def _in_quarantine(lake: Lake, model: str, event_id: str) -> EventLocation | None:
    row = _row(lake, model, "quarantine", event_id, ("reason",))
    if row is None:
        return None
    status: Literal["quarantined", "erased"] = "erased" if row["reason"] == ERASED else "quarantined"
    return EventLocation(event_id=event_id, model=model, status=status, dataset_version=None, **row)


def _row(
    lake: Lake, model: str, kind: Literal["feedback", "quarantine"], event_id: str, more: tuple[str, ...]
) -> dict[str, Any] | None:
    table = lake.table(model, kind)
    if not table.exists():
        return None
    columns = ("received_at", "kafka_partition", "kafka_offset", *more)
    frame = read.scan(table).filter(pl.col("event_id") == event_id).select(columns).head(1)
    rows = read.collect(frame, table.uri).to_dicts()
    return rows[0] if rows else None


def _first_version(lake: Lake, model: str, partition: int, offset: int) -> int | None:
    for version in versions.walk(lake.table(model, "feedback")):
        part = version.flush.get("partitions", {}).get(str(partition))
        if part and part["first_offset"] <= offset <= part["last_offset"]:
            return version.version
    return None
