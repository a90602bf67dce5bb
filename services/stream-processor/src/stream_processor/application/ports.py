"""What the use cases need from outside, each port as small as its caller."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from flywheel_schemas.events import DatasetCommitted, ThresholdReached
from flywheel_schemas.spec import ModelSpec
from lake.triggers import Mark
from stream_processor.application.flush import ModelFlush, Share, SourceRecord
from stream_processor.application.partition import Partition
from stream_processor.application.screening import Screens
from stream_processor.domain.routing import DeadLetter, Decision, Rules
from stream_processor.domain.thresholds import LastTrigger, NewFeedback


@dataclass(frozen=True, slots=True)
class Columns:
    """Decoded rows of one model. `ids` are the event ids as uint64 of shape (n, 2).

    `refused` marks rows that must be decided one by one: their column values mean nothing.
    """

    table: pa.Table
    ids: np.ndarray
    refused: np.ndarray


class Format(Protocol):
    """How records of one topic are read, and what becomes of those that the fast way does not take."""

    def decode(self, values: Sequence[bytes | None]) -> list[Any]:
        """Each record as an opaque row, or None where it must go the slow way."""

    def model_of(self, row: Any) -> str:
        """The model that a decoded row belongs to."""

    def columns(self, model: str, rows: Sequence[Any], received_at_us: np.ndarray) -> Columns:
        """Decoded rows of one model as typed columns; `received_at_us` are the records' own times."""

    def route(self, value: bytes | None) -> Decision:
        """What becomes of one record, decided by the contract."""


Formats = Callable[[Rules], Format]


class Specs(Protocol):
    """The model specs, by model name. Both methods may raise retryable lake errors."""

    def current(self) -> Mapping[str, ModelSpec]:
        """The specs as last read."""

    def reload(self) -> Mapping[str, ModelSpec]:
        """The specs, read anew."""


@dataclass(frozen=True, slots=True)
class Appended:
    """What the dataset holds after an append. `shares` are those that this append added."""

    version: int
    shares: Mapping[int, Share]


class Tables(Protocol):
    """The tables of one stream. Every method raises lake errors: Retryable, Poison or Fatal."""

    def append(self, flush: ModelFlush) -> Appended:
        """Append quarantined events, then rows, exactly once."""

    def watermarks(self, model: str, partitions: Iterable[int]) -> dict[int, int]:
        """The last offset whose outcome the model's table holds, per partition; -1 where there is none."""

    def stored_ids(self, model: str, partitions: Iterable[int], since_us: int) -> Iterable[tuple[int, np.ndarray]]:
        """(partition, ids as uint64 of shape (n, 2)) of everything received since then, also quarantined."""

    def stored(self, model: str, event_ids: Sequence[str]) -> set[str]:
        """Those of the events that the main table holds, whenever they came; reads one column of all of it."""

    def quarantined(self, model: str, beyond: Mapping[int, int]) -> dict[int, set[int]]:
        """Offsets at or above `beyond` (by partition) that the quarantine holds."""

    def last_share(self, model: str, partition: int) -> tuple[int, Share] | None:
        """Version and share of the newest commit that holds something of the partition."""


class DeadLetters(Protocol):
    """The dead-letter topic."""

    def publish(self, letters: Sequence[tuple[SourceRecord, DeadLetter]]) -> None:
        """Returns when all are acknowledged."""

    def published(self, topic: str, beyond: Mapping[int, int]) -> dict[int, set[int]]:
        """Offsets at or above `beyond` (by source partition) that already have their dead letter."""


class Knowledge(Protocol):
    """What deciding needs to know of the world. Methods wait for an outage to end, or raise GaveUp or Stopping."""

    def learn(self, model: str, partitions: Sequence[Partition]) -> None:
        """Fill in what the lake knows of the model, before partitions meet it for the first time."""

    def screens(self) -> Screens:
        """What rows are held against, no older than some seconds."""

    def stored(self, model: str, event_ids: Sequence[str]) -> set[str]:
        """Those of the events that the model's dataset holds."""


class Announcements(Protocol):
    """The topics that tell others what happened."""

    def dataset_committed(self, events: Sequence[DatasetCommitted]) -> None:
        """Returns when all are acknowledged."""

    def threshold_reached(self, event: ThresholdReached) -> None:
        """Returns when it is acknowledged."""


class Offsets(Protocol):
    """The consumer group's positions."""

    async def commit(self, topic: str, next_offsets: Mapping[int, int]) -> None:
        """Commit positions; partitions that are no longer ours are left to their new owner."""


class Triggers(Protocol):
    """The log of triggers in the lake, and the count that they are made from."""

    def mark(self, model: str) -> tuple[int, Mark] | None:
        """(dataset version, how far it has come); None where the model has no dataset yet."""

    def last(self, model: str) -> LastTrigger | None:
        """The newest trigger."""

    def new_feedback(self, spec: ModelSpec, version: int) -> NewFeedback:
        """What the dataset at `version` holds since the newest trigger. Reads rows, where `mark` reads none."""

    def record(self, event: ThresholdReached, number: int, mark: Mark) -> bool:
        """Write the trigger, with how far the dataset had come, unless its number is taken; whether this call did."""

    def newest(self, model: str) -> ThresholdReached | None:
        """The newest trigger as it was, or will be, announced."""
