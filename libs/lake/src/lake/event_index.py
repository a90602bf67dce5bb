"""An index from event id to row, beside a table: found in one read instead of a scan.

`{model}/_flywheel/event_index/{kind}/manifest.json` names runs (files of `sorted_ids`) and the table's files that
they cover. Whatever file of a snapshot is not covered must be looked through itself, so an index that lags, or is lost,
costs time and never an answer. Upkeep extends it before it compacts, under the table's lock.
"""

import json
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from typing import Any
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable

from lake import locks, read, sorted_ids
from lake.lake import Lake
from lake.schema import Kind

COLUMNS = ("event_id", "event_date", "kafka_partition", "kafka_offset")
_INDEXED: tuple[Kind, ...] = ("feedback", "quarantine")
_READERS = 8
Runs = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Runs as (key, rows), the covered files by name, the version up to which the log was read, and old runs.

    Runs in `retired` were merged into others; they are deleted one upkeep later, when nobody reads them any more.
    """

    runs: Runs = ()
    covered: frozenset[str] = frozenset()
    version: int = -1
    retired: tuple[str, ...] = ()


class EventIndex:
    """The index of one table. Nothing is kept between calls."""

    def __init__(self, lake: Lake, model: str, kind: Kind) -> None:
        self._objects = lake.objects
        self._table = lake.table(model, kind)
        self._log = f"{model}/{kind}/_delta_log/"
        self._folder = f"{model}/_flywheel/event_index/{kind}/"
        self._indexed = kind in _INDEXED

    def manifest(self) -> Manifest:
        """What the index covers now; nothing where there is none."""
        raw = self._objects.get(f"{self._folder}manifest.json")
        if raw is None:
            return Manifest()
        said = json.loads(raw)
        runs = tuple((str(key), int(rows)) for key, rows in said["runs"])
        return Manifest(runs, frozenset(said["covered"]), said["version"], tuple(said["retired"]))

    def extend(self, opened: DeltaTable, lock: locks.TableLock) -> int:
        """Take the files of `opened` that are not covered into the index; how many rows that were."""
        before = self.manifest()
        files = names(opened)
        fresh = sorted(files.keys() - before.covered)
        if not self._indexed or not (fresh or before.retired):
            return 0
        new = self._rows(opened, [files[name] for name in fresh], before.version)
        runs = before.runs
        if new.height:
            runs, merged = self._merged(before.runs, new)
            key = f"{self._folder}{secrets.token_hex(8)}.parquet"
            self._objects.put(key, sorted_ids.encode(merged))
            runs = (*runs, (key, merged.height))
        retired = tuple(sorted({key for key, _ in before.runs} - {key for key, _ in runs}))
        lock.check()
        self._write(Manifest(runs, frozenset(files), int(opened.version()), retired))
        for key in before.retired:
            self._objects.delete(key)
        return new.height

    def follow(self, version: int, lock: locks.TableLock) -> None:
        """Cover the files that compaction made in commit `version`, where it made them of covered ones."""
        if not self._indexed:
            return
        before = self.manifest()
        actions = self._actions(version)
        made = {_name(one["add"]["path"]) for one in actions if "add" in one}
        merged = {_name(one["remove"]["path"]) for one in actions if "remove" in one}
        if merged <= before.covered:
            lock.check()
            self._write(replace(before, covered=before.covered - merged | made))

    def _rows(self, opened: DeltaTable, uris: list[str], since: int) -> pl.DataFrame:
        frame = read.files(self._table, opened, uris, path_column="_path").select(*COLUMNS, "_path")
        rows = read.collect(frame, self._table.uri)
        held = self.first_held(range(since + 1, int(opened.version()) + 1))
        versions = {path: held.get(_name(path)) for path in rows["_path"].unique()}
        version = (
            pl.col("_path").replace_strict(versions, return_dtype=pl.Int64) if versions else pl.lit(None, pl.Int64)
        )
        return rows.select(*COLUMNS, version.alias("dataset_version"))

    def _merged(
        self, runs: Sequence[tuple[str, int]], new: pl.DataFrame
    ) -> tuple[tuple[tuple[str, int], ...], pl.DataFrame]:
        """(runs to keep, rows of the new run): old runs are taken in until each is twice as long as the next."""
        parts, rows, kept = [new], new.height, list(runs)
        while kept and kept[-1][1] < 2 * rows:
            key, _ = kept.pop()
            parts.append(pl.read_parquet(BytesIO(self._objects.get(key) or b"")))
            rows = sum(part.height for part in parts)
        # An event that was rewritten meanwhile comes twice; the first version that held it is the one to tell.
        every = pl.concat(parts).sort("event_id", "dataset_version", nulls_last=True)
        return tuple(kept), every.unique("event_id", keep="first", maintain_order=True)

    def first_held(self, versions: Sequence[int]) -> dict[str, int]:
        """By name of each file that brought rows, the commit that did, as far as the log still knows."""
        with ThreadPoolExecutor(_READERS) as pool:
            commits = list(pool.map(self._actions, versions))
        return {
            _name(one["add"]["path"]): version
            for version, actions in zip(versions, commits, strict=True)
            for one in actions
            if "add" in one and one["add"]["dataChange"]
        }

    def _actions(self, version: int) -> list[dict[str, Any]]:
        """What a commit did, after the Delta transaction log protocol; nothing where the log forgot it."""
        raw = self._objects.get(f"{self._log}{version:020d}.json")
        return [json.loads(line) for line in (raw or b"").splitlines()]

    def _write(self, said: Manifest) -> None:
        content = asdict(said) | {"covered": sorted(said.covered)}
        self._objects.put(f"{self._folder}manifest.json", json.dumps(content).encode())


def names(opened: DeltaTable) -> dict[str, str]:
    """The address of each file of the snapshot, by its name, which no other file of the table ever has."""
    return {_name(uri): uri for uri in opened.file_uris()}


def _name(path: str) -> str:
    return unquote(path.rpartition("/")[2])
