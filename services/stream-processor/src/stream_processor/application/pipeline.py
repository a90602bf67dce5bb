"""The way of one topic's records: gathered, decided, settled, acknowledged; one flush at a time."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from kafka_runtime import messaging
from stream_processor.application import telling
from stream_processor.application.deciding import Decider
from stream_processor.application.flush import Decided, SourceRecord
from stream_processor.application.partition import Partition
from stream_processor.application.ports import Offsets
from stream_processor.application.reading import Batch
from stream_processor.application.settling import Settler, Stopping
from stream_processor.domain.flushing import FlushPolicy
from telemetry import logging

_LOG = logging.get(__name__)


class Gathered:
    """Records that wait for a flush, by partition."""

    def __init__(self) -> None:
        self.rows = 0
        self.size = 0
        self.since_s = 0.0
        self._records: dict[int, list[SourceRecord]] = {}

    def add(self, number: int, records: Sequence[SourceRecord], now_s: float) -> None:
        """Add records of one partition, in offset order."""
        if not self.rows:
            self.since_s = now_s
        self._records.setdefault(number, []).extend(records)
        self.rows += len(records)
        self.size += sum([len(record.value or b"") for record in records])

    def take(self) -> dict[int, list[SourceRecord]]:
        """Everything, leaving nothing."""
        taken, self._records, self.rows, self.size = self._records, {}, 0, 0
        return taken


class Pipeline:
    """Owns what was read of one topic and not yet acknowledged.

    Deciding the next flush overlaps with settling the last one; settling never overlaps with settling, so
    offsets are acknowledged in order, and only after everything up to them is safe.
    """

    def __init__(
        self,
        topic: str,
        decider: Decider,
        settler: Settler,
        *,
        offsets: Callable[[], Offsets],
        policy: FlushPolicy,
        done: Callable[[Decided, float], None],
    ) -> None:
        self._topic = topic
        self._decider = decider
        self._settler = settler
        self._offsets = offsets
        self._policy = policy
        self._done = done
        self._partitions: dict[int, Partition] = {}
        self._stored: dict[int, int] = {}
        self._gathered = Gathered()
        self._arrived = asyncio.Event()
        self._busy = asyncio.Lock()
        self._settling: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether reading should pause until a flush has begun."""
        return self._policy.full(self._gathered.rows, self._gathered.size)

    def add(self, number: int, records: Sequence[SourceRecord]) -> None:
        """Take records of a partition; those of a partition that is not ours are dropped, for its owner reads them."""
        if number in self._partitions and records:
            self._gathered.add(number, records, time.monotonic())
            self._arrived.set()

    def stored_up_to(self, number: int) -> int | None:
        """The first offset of a partition that is not settled; None for one that is not ours."""
        return self._stored.get(number)

    def assign(self, partitions: Mapping[int, Partition]) -> None:
        """Take over partitions that were recovered."""
        self._partitions = dict(partitions)
        self._stored = {number: partition.position for number, partition in partitions.items()}

    def revoke(self) -> None:
        """Forget all partitions and what was gathered of them. A flush that is being settled goes on."""
        for partition in self._partitions.values():
            partition.revoked = True
        self._partitions = {}
        self._stored = {}
        self._gathered = Gathered()

    async def idle(self) -> None:
        """Returns when no flush is being decided or settled."""
        async with self._busy:
            if self._settling is not None:
                await asyncio.wait({self._settling})

    async def run(self) -> None:
        """Flush whenever it is due. Raises what settling could not overcome."""
        while True:
            await self._until_due()
            async with self._busy:
                batch = self._batch()
                if not batch:
                    continue
                decided = await asyncio.to_thread(self._decider.decide, batch, time.time())
                if self._settling is not None:
                    await self._settling
                if all(partition.revoked for partition, _ in batch):
                    continue
                self._settling = asyncio.create_task(self._settle(batch, decided))

    def _batch(self) -> Batch:
        taken = self._gathered.take()
        return [(self._partitions[n], records) for n, records in sorted(taken.items()) if n in self._partitions]

    async def _until_due(self) -> None:
        while not self._is_due():
            if self._settling is not None and self._settling.done():
                await self._settling
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._policy.age_s / 5):
                    await self._arrived.wait()

    def _is_due(self) -> bool:
        gathered = self._gathered
        return self._policy.due(gathered.rows, gathered.size, time.monotonic() - gathered.since_s)

    async def _settle(self, batch: Batch, decided: Decided) -> None:
        causes = messaging.causes(record.headers for _, records in batch for record in records)
        with messaging.processing_batch(self._topic, causes, decided.records):
            await self._settle_here(batch, decided)

    async def _settle_here(self, batch: Batch, decided: Decided) -> None:
        began = time.monotonic()
        try:
            await asyncio.to_thread(partial(self._settler.settle, decided))
        except Stopping:
            return
        await self._offsets().commit(self._topic, decided.next_offsets)
        telling.tell(self._topic, batch, decided, time.monotonic() - began)
        self._stored |= {n: offset for n, offset in decided.next_offsets.items() if n in self._partitions}
        self._done(decided, time.monotonic() - began)
