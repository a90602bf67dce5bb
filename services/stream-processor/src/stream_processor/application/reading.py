"""One batch of records while it is being decided."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lake import schema
from stream_processor.application.flush import SourceRecord, Span
from stream_processor.application.partition import Partition
from stream_processor.application.ports import Columns
from stream_processor.application.screening import RELEASED_BY
from stream_processor.domain.routing import Quarantine

Batch = Sequence[tuple[Partition, Sequence[SourceRecord]]]


class Reading:
    """One batch while it is being decided: parallel arrays over all its records, partition after partition."""

    def __init__(self, batch: Batch) -> None:
        self.partitions = [partition for partition, _ in batch]
        self.records: list[SourceRecord] = [record for _, records in batch for record in records]
        self.starts = np.cumsum([0, *(len(records) for _, records in batch)])
        self.offsets = np.array([record.offset for record in self.records], dtype=np.int64)
        self.timestamps = np.array([record.timestamp for record in self.records], dtype=np.int64)
        self.numbers = np.repeat(
            np.array([partition.number for partition in self.partitions], dtype=np.int32), np.diff(self.starts)
        )
        self.rows: list[Any] = []
        self.outcomes: dict[int, Any] = {}
        self.places: dict[str, np.ndarray] = {}
        self.columns: dict[str, Columns] = {}
        self.quarantines: dict[str, list[int]] = {}
        self.rerouted: set[int] = set()
        self.granted: frozenset[int] = frozenset()
        self.released = any(record.headers and _is_released(record) for record in self.records)

    def group(self, model_of: Callable[[Any], str]) -> None:
        """Sort the records' places by model, those of rows and those of quarantined events apart."""
        by_model: dict[str, list[int]] = {}
        kinds = set(map(type, self.rows))
        if len(kinds) == 1 and self.rows and self.rows[0] is not None:
            self.places = {model_of(self.rows[0]): np.arange(len(self.rows))}
        else:
            for at, row in enumerate(self.rows):
                if row is not None:
                    by_model.setdefault(model_of(row), []).append(at)
            self.places = {model: np.array(places) for model, places in by_model.items()}
        self.columns = {}
        self.quarantines = {}
        for at, outcome in sorted(self.outcomes.items()):
            if isinstance(outcome, Quarantine):
                self.quarantines.setdefault(outcome.model, []).append(at)

    def is_released(self, at: int) -> bool:
        """Whether an operator let the record at `at` in again."""
        return self.released and _is_released(self.records[at])

    def owner(self, at: int) -> Partition:
        """The partition of the record at `at`."""
        return self.partitions[int(np.searchsorted(self.starts, at, side="right")) - 1]

    def span(self, index: int) -> Span:
        """The offsets of the batch's partition number `index`."""
        return Span(int(self.offsets[self.starts[index]]), int(self.offsets[self.starts[index + 1] - 1]))

    def next_offsets(self) -> dict[int, int]:
        """By partition the offset after its last record."""
        return {
            partition.number: self.span(index).last + 1
            for index, partition in enumerate(self.partitions)
            if self.starts[index] < self.starts[index + 1]
        }

    def located(self, table: pa.Table, places: np.ndarray) -> pa.Table:
        """`table` with the columns that say where in Kafka each row came from."""
        return table.append_column("kafka_partition", pa.array(self.numbers[places])).append_column(
            "kafka_offset", pa.array(self.offsets[places])
        )

    def offsets_by_partition(self, places: np.ndarray) -> Mapping[int, np.ndarray]:
        """The offsets at `places`, apart by partition."""
        numbers = self.numbers[places]
        return {int(number): self.offsets[places[numbers == number]] for number in np.unique(numbers)}

    def aside_table(self, places: list[int]) -> pa.Table:
        """The quarantined events at `places` as rows of the quarantine table."""
        held: list[Quarantine] = [self.outcomes[at] for at in places]
        where = np.array(places, dtype=np.int64)
        received = np.array(
            [
                one.received_at_us if one.received_at_us is not None else int(self.timestamps[at]) * 1000
                for one, at in zip(held, places, strict=True)
            ],
            dtype=np.int64,
        )
        return pa.table(
            {
                "event_id": [one.event_id for one in held],
                "kind": [one.kind for one in held],
                "reason": [one.reason for one in held],
                "score": pa.array([one.score for one in held], pa.float64()),
                "record": [one.record for one in held],
                "received_at": pa.array(received).cast(pa.timestamp("us")).cast(schema.TIMESTAMP),
                "kafka_partition": self.numbers[where],
                "kafka_offset": self.offsets[where],
                "event_date": event_dates(received),
            },
            schema=schema.quarantine(),
        )


def _is_released(record: SourceRecord) -> bool:
    return any(name == RELEASED_BY for name, _ in record.headers)


def event_dates(received_at_us: np.ndarray) -> pa.Array:
    """The day of receipt, UTC, of times in microseconds."""
    return pa.array((received_at_us // 86_400_000_000).astype(np.int32)).cast(pa.date32())


def ids_of(event_ids: Sequence[str]) -> np.ndarray:
    """Canonical UUID texts as uint64 of shape (n, 2)."""
    raw = b"".join(bytes.fromhex(event_id.replace("-", "")) for event_id in event_ids)
    return np.frombuffer(raw, dtype=">u8").astype(np.uint64).reshape(-1, 2)
