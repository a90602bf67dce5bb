"""The tables of one stream, in the lake."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
from typing_extensions import override

from flywheel_schemas.spec import ModelSpec
from lake import Lake, LakeTable, read, schema, versions
from lake.append import append_absent, append_all, transaction_id
from lake.append import watermarks as stored_watermarks
from lake.errors import ColumnsMissing
from stream_processor.adapters import arrays
from stream_processor.application.flush import ModelFlush, Share, from_metadata, to_metadata
from stream_processor.application.ports import Appended, Specs, Tables


class LakeTables(Tables):
    """One main table (feedback or predictions) and the quarantine, per model. Used by one flush at a time."""

    def __init__(self, lake: Lake, specs: Specs, topic: str, kind: Literal["feedback", "predictions"]) -> None:
        self._lake = lake
        self._specs = specs
        self._topic = topic
        self._kind = kind
        self._id_column = "event_id" if kind == "feedback" else "prediction_id"
        self._ensured: dict[tuple[str, schema.Kind], ModelSpec] = {}

    @override
    def append(self, flush: ModelFlush) -> Appended:
        try:
            return self._appended(flush)
        except ColumnsMissing:
            # A rollback went back behind a new feature: the next attempt gives the table its columns again.
            self._ensured.clear()
            raise

    def _appended(self, flush: ModelFlush) -> Appended:
        if flush.aside.num_rows:
            ids = {transaction_id(self._topic, p): int(offsets.max()) for p, offsets in flush.quarantined.items()}
            append_absent(self._ready(flush.model, "quarantine"), flush.aside, ids)
        shares: dict[int, Share] = {}

        def describe(found: Mapping[str, int]) -> dict[str, str]:
            shares.clear()
            shares.update(flush.shares(found, count_quality=self._kind == "feedback"))
            return {versions.METADATA_KEY: json.dumps(to_metadata(self._topic, shares))}

        result = append_all(self._ready(flush.model, self._kind), flush.rows, flush.last_offsets(), describe)
        return Appended(result.version, shares if result.committed else {})

    @override
    def watermarks(self, model: str, partitions: Iterable[int]) -> dict[int, int]:
        ids = {transaction_id(self._topic, partition): partition for partition in partitions}
        table = self._lake.table(model, self._kind)
        if not table.exists():
            return dict.fromkeys(ids.values(), -1)
        found = stored_watermarks(table.snapshot(fresh=True), ids)
        return {ids[name]: offset for name, offset in found.items()}

    @override
    def stored_ids(self, model: str, partitions: Iterable[int], since_us: int) -> Iterator[tuple[int, np.ndarray]]:
        wanted = sorted(partitions)
        yield from _ids(self._lake.table(model, self._kind), self._id_column, wanted, since_us, None)
        kinds = pl.col("kind") == "prediction"
        yield from _ids(
            self._lake.table(model, "quarantine"), "event_id", wanted, since_us,
            ~kinds if self._kind == "feedback" else kinds,
        )  # fmt: skip

    @override
    def stored(self, model: str, event_ids: Sequence[str]) -> set[str]:
        table = self._lake.table(model, self._kind)
        if not table.exists():
            return set()
        frame = read.scan(table).filter(pl.col(self._id_column).is_in(list(event_ids)))
        return set(read.collect(frame.select(self._id_column), table.uri)[self._id_column])

    @override
    def quarantined(self, model: str, beyond: Mapping[int, int]) -> dict[int, set[int]]:
        table = self._lake.table(model, "quarantine")
        found: dict[int, set[int]] = {partition: set() for partition in beyond}
        if not table.exists() or not beyond:
            return found
        newest = stored_watermarks(table.snapshot(fresh=True), [transaction_id(self._topic, p) for p in beyond])
        open_ = {p: first for p, first in beyond.items() if newest[transaction_id(self._topic, p)] >= first}
        if open_:
            kinds = pl.col("kind") == "prediction"
            frame = read.scan(table).filter(
                pl.any_horizontal(
                    (pl.col("kafka_partition") == p) & (pl.col("kafka_offset") >= first) for p, first in open_.items()
                )
                & (~kinds if self._kind == "feedback" else kinds)
            )
            for partition, offset in read.collect(frame.select("kafka_partition", "kafka_offset"), table.uri).rows():
                found[partition].add(offset)
        return found

    @override
    def last_share(self, model: str, partition: int) -> tuple[int, Share] | None:
        for version in versions.walk(self._lake.table(model, self._kind)):
            if version.flush.get("topic") == self._topic and (share := from_metadata(version.flush, partition)):
                return version.version, share
        return None

    def _ready(self, model: str, kind: schema.Kind) -> LakeTable:
        """The table, made or widened to the model's spec when that is new."""
        table = self._lake.table(model, kind)
        spec = self._specs.current()[model]
        if self._ensured.get((model, kind)) != spec:
            table.ensure(schema.of(kind, spec))
            self._ensured[model, kind] = spec
        return table


def _ids(
    table: LakeTable, column: str, partitions: list[int], since_us: int, only: pl.Expr | None
) -> Iterator[tuple[int, np.ndarray]]:
    """(partition, ids) of what the table received since then; whole days are skipped by the partition column."""
    if not table.exists():
        return
    since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=since_us)
    frame = read.scan(table).filter(
        (pl.col("event_date") >= date(since.year, since.month, since.day))
        & (pl.col("received_at") >= since)
        & pl.col("kafka_partition").is_in(partitions)
    )
    if only is not None:
        frame = frame.filter(only)
    found = read.to_arrow(frame.select(column, "kafka_partition"), table.uri)
    numbers = found.column("kafka_partition").to_numpy()
    texts = found.column(column).cast(pa.string()).combine_chunks()
    for partition in np.unique(numbers):
        _, ids, good = arrays.uuids(texts.filter(pa.array(numbers == partition)))
        yield int(partition), ids[good]
