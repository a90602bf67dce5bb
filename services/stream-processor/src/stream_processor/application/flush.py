"""What one flush holds: per model the rows to append, and what is said about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from flywheel_schemas.events import DatasetCommitted, VersionQuality
from stream_processor.domain.routing import DeadLetter


class SourceRecord(Protocol):
    """One record as the reader hands it over (aiokafka's ConsumerRecord is one)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets of one partition that a flush decides, both ends included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Share:
    """What a flush says of one model's events in one partition."""

    first_offset: int
    last_offset: int
    rows: int
    duplicates: int
    quarantined: int
    quality: list[VersionQuality] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ModelFlush:
    """One model's part of a flush. `rows` are new ones; `duplicates` and `quarantined` hold offsets by partition.

    `aside` are the quarantined events that the quarantine does not hold yet.
    """

    model: str
    topic: str
    rows: pa.Table
    spans: Mapping[int, Span]
    duplicates: Mapping[int, np.ndarray]
    quarantined: Mapping[int, np.ndarray]
    aside: pa.Table

    @classmethod
    def merged(cls, parts: "Sequence[ModelFlush]") -> "ModelFlush":
        """Successive parts of one model and topic as one."""
        if len(parts) == 1:
            return parts[0]
        spans: dict[int, Span] = {}
        for part in parts:
            for partition, span in part.spans.items():
                before = spans.get(partition, span)
                spans[partition] = Span(min(before.first, span.first), max(before.last, span.last))
        return cls(
            model=parts[0].model,
            topic=parts[0].topic,
            rows=pa.concat_tables([part.rows for part in parts]),
            spans=spans,
            duplicates=_joined([part.duplicates for part in parts]),
            quarantined=_joined([part.quarantined for part in parts]),
            aside=pa.concat_tables([part.aside for part in parts]),
        )

    def last_offsets(self) -> dict[str, int]:
        """Transaction id to the last offset that this flush decides."""
        return {f"{self.topic}/{partition}": span.last for partition, span in self.spans.items()}

    def shares(self, found: Mapping[str, int], count_quality: bool) -> dict[int, Share]:
        """Counts per partition of what lies beyond the watermarks `found` (by transaction id)."""
        above = {partition: found.get(f"{self.topic}/{partition}", -1) for partition in self.spans}
        qualities = _quality(self.rows, above) if count_quality else {}
        partitions = self.rows.column("kafka_partition").to_numpy()
        offsets = self.rows.column("kafka_offset").to_numpy()
        shares = {}
        for partition, span in self.spans.items():
            if span.last <= above[partition]:
                continue
            shares[partition] = Share(
                first_offset=max(span.first, above[partition] + 1),
                last_offset=span.last,
                rows=int(np.count_nonzero((partitions == partition) & (offsets > above[partition]))),
                duplicates=_count_above(self.duplicates.get(partition), above[partition]),
                quarantined=_count_above(self.quarantined.get(partition), above[partition]),
                quality=qualities.get(partition, []),
            )
        return shares


@dataclass(frozen=True, slots=True)
class Decided:
    """Everything that one flush will do; `next_offsets` are committed when all of it is done."""

    flushes: list[ModelFlush]
    dead_letters: list[tuple[SourceRecord, DeadLetter]]
    next_offsets: Mapping[int, int]
    records: int


def announcement(model: str, topic: str, version: int, partition: int, share: Share) -> DatasetCommitted:
    """The dataset-committed event of one partition's share."""
    return DatasetCommitted(
        model=model,
        dataset_version=version,
        topic=topic,
        partition=partition,
        first_offset=share.first_offset,
        last_offset=share.last_offset,
        rows=share.rows,
        duplicates=share.duplicates,
        quarantined=share.quarantined,
        quality=share.quality,
    )


def to_metadata(topic: str, shares: Mapping[int, Share]) -> dict[str, Any]:
    """The shares as a commit's metadata, from which `from_metadata` reads them back."""
    return {
        "topic": topic,
        "partitions": {
            str(partition): {
                "first_offset": share.first_offset,
                "last_offset": share.last_offset,
                "rows": share.rows,
                "duplicates": share.duplicates,
                "quarantined": share.quarantined,
                "quality": [quality.model_dump(mode="json") for quality in share.quality],
            }
            for partition, share in shares.items()
        },
    }


def from_metadata(said: Mapping[str, Any], partition: int) -> Share | None:
    """The share of `partition` in a commit's metadata; None where it says nothing of it."""
    part = said.get("partitions", {}).get(str(partition))
    if part is None:
        return None
    return Share(**{**part, "quality": [VersionQuality.model_validate(quality) for quality in part["quality"]]})


def _joined(parts: Sequence[Mapping[int, np.ndarray]]) -> dict[int, np.ndarray]:
    partitions = {partition for part in parts for partition in part}
    return {one: np.concatenate([part[one] for part in parts if one in part]) for one in partitions}


def _count_above(offsets: np.ndarray | None, watermark: int) -> int:
    return 0 if offsets is None else int(np.count_nonzero(offsets > watermark))


def _quality(rows: pa.Table, above: Mapping[int, int]) -> dict[int, list[VersionQuality]]:
    """Per partition what the rows beyond `above` say of each model version, audited and volunteered apart."""
    keys = ["kafka_partition", "model_version", "audited", "predicted", "label"]
    known = rows.select([*keys, "rating", "kafka_offset"]).filter(rows.column("model_version").is_valid())
    if any(watermark >= 0 for watermark in above.values()) and known.num_rows:
        limits = np.array([above[p] for p in known.column("kafka_partition").to_pylist()])
        known = known.filter(pa.array(known.column("kafka_offset").to_numpy() > limits))
    classes = pa.types.is_string(rows.schema.field("predicted").type)
    if not classes:
        keys = keys[:3]
    counted = known.group_by(keys).aggregate([([], "count_all"), ("rating", "sum"), ("rating", "count")])
    found: dict[int, dict[tuple[str, bool], dict[str, Any]]] = {}
    for row in counted.to_pylist():
        key = (row["model_version"], bool(row["audited"]))
        one = found.setdefault(row["kafka_partition"], {}).setdefault(
            key, {"n": 0, "confusion": {}, "rating_sum": 0, "rating_count": 0}
        )
        one["n"] += row["count_all"]
        one["rating_sum"] += row["rating_sum"] or 0
        one["rating_count"] += row["rating_count"]
        if classes and row["predicted"] is not None and row["label"] is not None:
            per_label = one["confusion"].setdefault(row["predicted"], {})
            per_label[row["label"]] = per_label.get(row["label"], 0) + row["count_all"]
    return {
        partition: [
            VersionQuality(model_version=version, audited=audited, **counts)
            for (version, audited), counts in sorted(per.items())
        ]
        for partition, per in found.items()
    }
