"""From raw records to what one flush will do: read, route, drop what was seen."""

import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from flywheel_schemas.topics import is_padding
from stream_processor.application.flush import Decided, ModelFlush, SourceRecord, Span
from stream_processor.application.partition import Partition
from stream_processor.application.ports import Columns, Format, Formats, Knowledge, Specs
from stream_processor.application.reading import Batch, Reading, ids_of
from stream_processor.application.screening import Screens, Verdict
from stream_processor.domain.routing import (
    UNKNOWN_MODEL,
    DeadLetter,
    Decision,
    ModelRules,
    PassOver,
    Quarantine,
    Rules,
    Store,
)
from stream_processor.domain.seen import keys_of

_SPECS_STALE_S = 5.0


class Decider:
    """Decides batches of one topic, one batch at a time."""

    def __init__(
        self,
        topic: str,
        formats: Formats,
        specs: Specs,
        secret: tuple[int, int],
        knowledge: Knowledge,
    ) -> None:
        self._topic = topic
        self._formats = formats
        self._specs = specs
        self._secret = secret
        self._knowledge = knowledge
        self._screens = Screens()
        self._loaded_s = float("-inf")
        self._rules: Rules = {}
        self._format: Format = formats({})

    def load_specs(self) -> None:
        """Take the specs as they are now."""
        specs = self._specs.reload()
        self._loaded_s = time.monotonic()
        if {name: rules.spec for name, rules in self._rules.items()} != dict(specs):
            self._rules = {name: ModelRules.of(spec) for name, spec in specs.items()}
            self._format = self._formats(self._rules)

    def decide(self, batch: Batch, now_s: float) -> Decided:
        """What to do with the batch. Ids in it count as seen from now on: either it is stored, or the process ends."""
        self._screens = self._knowledge.screens()
        parts = [self._decide(part, now_s) for part in _parts(batch)]
        by_model: dict[str, list[ModelFlush]] = {}
        for part in parts:
            for flush in part.flushes:
                by_model.setdefault(flush.model, []).append(flush)
        next_offsets: dict[int, int] = {}
        for part in parts:
            next_offsets.update(part.next_offsets)
        return Decided(
            [ModelFlush.merged(flushes) for flushes in by_model.values()],
            [letter for part in parts for letter in part.dead_letters],
            next_offsets,
            sum(part.records for part in parts),
        )

    def _decide(self, batch: Batch, now_s: float) -> Decided:
        reading = Reading(batch)
        self._decode(reading)
        flushes = [self._model_flush(reading, model, now_s) for model in self._models(reading)]
        letters = [
            (reading.records[at], outcome)
            for at, outcome in sorted(reading.outcomes.items())
            if isinstance(outcome, DeadLetter) and not reading.owner(at).revoked
            and reading.records[at].offset not in reading.owner(at).dead
        ]  # fmt: skip
        return Decided(
            [flush for flush in flushes if flush.spans], letters, reading.next_offsets(), len(reading.records)
        )

    def _decode(self, reading: Reading) -> None:
        reading.rows = self._format.decode([record.value for record in reading.records])
        if not all(reading.rows):  # a row is true, None is not
            self._route(reading, [at for at, row in enumerate(reading.rows) if row is None])

    def _route(self, reading: Reading, places: Iterable[int]) -> None:
        """Decide the records at `places` one by one; if some do not fit, once more with the newest specs."""
        places = list(places)
        outcomes = {at: self._routed(reading.records[at]) for at in places}
        if self._stale(outcomes.values()):
            before = self._format
            self.load_specs()
            if self._format is not before:
                # Rows that are decoded already may have changed their shape; all of them are read again.
                reading.outcomes.clear()
                reading.rerouted.clear()
                self._decode(reading)
                return
        for at, outcome in outcomes.items():
            (reading.rows[at],) = self._format.decode([outcome.canonical]) if isinstance(outcome, Store) else (None,)
            if isinstance(outcome, Quarantine):
                received = outcome.received_at_us or int(reading.timestamps[at]) * 1000
                reading.outcomes[at] = self._screens.erased(outcome, received)
            elif not isinstance(outcome, Store):
                reading.outcomes[at] = outcome
            elif reading.rows[at] is None:
                reading.outcomes[at] = DeadLetter("unrepresentable", "its canonical form cannot be read back")

    def _routed(self, record: SourceRecord) -> Decision:
        if is_padding(record.key, record.value, record.headers):
            return PassOver()
        return self._format.route(record.value)

    def _stale(self, outcomes: Iterable[object]) -> bool:
        unknown = any(isinstance(o, DeadLetter) and o.reason == UNKNOWN_MODEL for o in outcomes)
        misfit = any(isinstance(o, Quarantine) for o in outcomes)
        return unknown or (misfit and time.monotonic() - self._loaded_s > _SPECS_STALE_S)

    def _models(self, reading: Reading) -> list[str]:
        """Models in the batch, with the columns of each made; rows that columns refuse are routed first."""
        while True:
            reading.group(self._format.model_of)
            refused: list[int] = []
            for model, places in reading.places.items():
                rows = [reading.rows[at] for at in places]
                reading.columns[model] = self._format.columns(model, rows, reading.timestamps[places] * 1000)
                refused += places[reading.columns[model].refused].tolist()
            if not refused and not self._screened(reading):
                return sorted(reading.places.keys() | reading.quarantines.keys())
            settled = [at for at in refused if at in reading.rerouted]
            for at in settled:
                reading.rows[at] = None
                reading.outcomes[at] = DeadLetter("unrepresentable", "its values cannot be kept in columns")
            reading.rerouted.update(refused)
            self._route(reading, [at for at in refused if at not in settled])

    def _screened(self, reading: Reading) -> bool:
        """Set aside the rows that the screens do not let through; whether there were any."""
        found = False
        for model, places in reading.places.items():
            for row, verdict in self._screens.verdicts(model, reading.columns[model].table).items():
                at = int(places[row])
                if verdict.stone is None and reading.is_released(at):
                    continue
                reading.outcomes[at] = self._aside(reading, model, row, at, verdict)
                reading.rows[at] = None
                found = True
        return found

    def _aside(self, reading: Reading, model: str, row: int, at: int, verdict: Verdict) -> Quarantine:
        cells = reading.columns[model].table.slice(row, 1).to_pylist()[0]
        if verdict.stone is not None:
            record = verdict.stone.marker
        else:
            routed = self._format.route(reading.records[at].value)
            record = routed.canonical.decode() if isinstance(routed, Store) else ""
        return Quarantine(
            model,
            cells["event_id" if "kind" in cells else "prediction_id"],
            cells.get("kind", "prediction"),
            verdict.reason,
            record,
            int(cells["received_at"].timestamp() * 1e6),
            score=verdict.score,
        )

    def _model_flush(self, reading: Reading, model: str, now_s: float) -> ModelFlush:
        self._knowledge.learn(
            model, [partition for partition in reading.partitions if model not in partition.watermarks]
        )
        aside = reading.quarantines.get(model, [])
        places = reading.places.get(model, np.empty(0, dtype=np.int64))
        columns = reading.columns.get(model) or self._no_columns(model)
        ids = np.concatenate([columns.ids, ids_of([reading.outcomes[at].event_id for at in aside])])
        everywhere = np.concatenate([places, np.array(aside, dtype=np.int64)])
        sorting = np.argsort(everywhere, kind="stable") if aside else np.arange(len(everywhere))
        keys = keys_of(ids[sorting], self._secret)
        reading.granted |= self._granted(reading, model, places, columns.table)
        fate = _Fate.of(reading, model, everywhere[sorting], keys, now_s)
        stored_first = np.empty(len(everywhere), dtype=np.int8)
        stored_first[sorting] = fate.codes
        rows_fate, aside_fate = stored_first[: len(places)], stored_first[len(places) :]
        keep = rows_fate == _NEW
        table = columns.table if keep.all() else columns.table.filter(pa.array(keep))
        new_aside = [at for at, code in zip(aside, aside_fate, strict=True) if code == _NEW]
        return ModelFlush(
            model=model,
            topic=self._topic,
            rows=reading.located(table, places[keep]),
            spans=fate.spans,
            duplicates=reading.offsets_by_partition(everywhere[stored_first == _DUPLICATE]),
            quarantined=reading.offsets_by_partition(
                np.concatenate([np.array(new_aside, dtype=np.int64), everywhere[stored_first == _ASIDE]])
            ),
            aside=reading.aside_table(new_aside),
        )

    def _granted(self, reading: Reading, model: str, places: np.ndarray, table: pa.Table) -> frozenset[int]:
        """Places of rows that an operator released and that the dataset does not hold yet."""
        released = (
            [row for row, at in enumerate(places.tolist()) if reading.is_released(at)] if reading.released else []
        )
        if not released:
            return frozenset()
        ids = {row: table.column("event_id")[row].as_py() for row in released}
        stored = self._knowledge.stored(model, sorted(set(ids.values())))
        return frozenset(int(places[row]) for row, event_id in ids.items() if event_id not in stored)

    def _no_columns(self, model: str) -> Columns:
        return self._format.columns(model, [], np.empty(0, dtype=np.int64))


_NEW, _DUPLICATE, _STORED, _ASIDE = range(4)
# Decoded rows are turned into columns while the processor's caches still hold them.
_PART = 5_000


def _parts(batch: Batch) -> Iterator[Batch]:
    """The batch in parts of about 5,000 records: partition after partition, offsets ascending."""
    part: list[tuple[Partition, Sequence[SourceRecord]]] = []
    size = 0
    for partition, records in batch:
        for start in range(0, len(records), _PART):
            piece = records[start : start + _PART]
            if size + len(piece) > _PART and part:
                yield part
                part, size = [], 0
            part.append((partition, piece))
            size += len(piece)
    if part:
        yield part


class _Fate:
    """What becomes of each of one model's events: new, a duplicate, stored or set aside in an earlier life."""

    def __init__(self, codes: np.ndarray, spans: dict[int, Span]) -> None:
        self.codes = codes
        self.spans = spans

    @classmethod
    def of(cls, reading: Reading, model: str, places: np.ndarray, keys: np.ndarray, now_s: float) -> "_Fate":
        codes = np.full(len(places), _NEW, dtype=np.int8)
        spans: dict[int, Span] = {}
        for index, partition in enumerate(reading.partitions):
            first, last = np.searchsorted(places, [reading.starts[index], reading.starts[index + 1]])
            if first == last:
                continue
            offsets = reading.offsets[places[first:last]]
            mine = codes[first:last]
            mine[offsets <= partition.watermarks[model]] = _STORED
            if partition.aside:
                mine[(mine == _NEW) & np.isin(offsets, list(partition.aside))] = _ASIDE
            if partition.dead:
                mine[(mine == _NEW) & np.isin(offsets, list(partition.dead))] = _STORED
            open_ = np.flatnonzero(mine == _NEW)
            new = partition.seen.add_new(keys[first:last][open_], now_s)
            for one in np.flatnonzero(~new).tolist() if reading.granted else ():
                # Seen, since the quarantine holds it; let in once all the same.
                key = int(keys[first + open_[one]])
                if int(places[first + open_[one]]) in reading.granted and key not in partition.released:
                    partition.released.add(key)
                    new[one] = True
            mine[open_[~new]] = _DUPLICATE
            end = reading.span(index).last
            if (mine != _STORED).any() and end > partition.watermarks[model]:
                spans[partition.number] = Span(max(reading.span(index).first, partition.watermarks[model] + 1), end)
        return cls(codes, spans)
