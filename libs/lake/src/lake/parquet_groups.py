"""Single groups of rows out of Parquet files that never change, each by one request to the store.

A file is opened once and its footer read once. Both are kept, so that a later read needs neither to be asked for again.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.lake import Lake

# In a folder on this machine each open file is a file descriptor.
_KEPT = 256


@dataclass(frozen=True, slots=True)
class Opened:
    """A file and its footer. `spans` gives, by column, the lowest and highest value of each group (None: unknown)."""

    source: Any
    metadata: pq.FileMetaData
    spans: dict[str, list[tuple[Any, Any] | None]]

    def groups(self, column: str, value: Any) -> Iterator[int]:
        """Numbers of the groups whose `column` may hold `value`."""
        for group, span in enumerate(self.spans[column]):
            if span is None or span[0] <= value <= span[1]:
                yield group

    def read(self, group: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The group's rows; those of `columns` that the file lacks are missing."""
        # Pre-buffered, the columns come together; else each is a request.
        reader = pq.ParquetFile(self.source, metadata=self.metadata, pre_buffer=True)
        present = None if columns is None else [name for name in columns if name in self.metadata.schema.names]
        return _plain(reader.read_row_group(group, present))


class ParquetGroups:
    """Opens files of one lake by key. Safe to use from several threads; call it within `errors.translated`."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = threading.Lock()
        self._opened: OrderedDict[str, Opened] = OrderedDict()

    def open(self, key: str, *bounded: str, size: int | None = None) -> Opened:
        """The file at `key`, with the spans of the columns `bounded`; opened anew where it no longer has `size`."""
        with self._lock:
            if key in self._opened and size in {None, self._opened[key].source.size()}:
                self._opened.move_to_end(key)
                return self._opened[key]
        filesystem, path = self._lake.file_system()
        source = filesystem.open_input_file(f"{path}/{key}")
        metadata = pq.ParquetFile(source).metadata
        found = Opened(source, metadata, {name: _spans(metadata, name) for name in bounded})
        with self._lock:
            self._opened[key] = found
            if len(self._opened) > _KEPT:
                self._opened.popitem(last=False)
        return found


def _plain(rows: pa.Table) -> pa.Table:
    """Texts as every function of Arrow takes them: delta-rs rewrites files with views, which few do."""
    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    return rows.cast(pa.schema([column.with_type(plain.get(column.type, column.type)) for column in rows.schema]))


def _spans(metadata: pq.FileMetaData, name: str) -> list[tuple[Any, Any] | None]:
    column = metadata.schema.names.index(name)
    statistics = [metadata.row_group(n).column(column).statistics for n in range(metadata.num_row_groups)]
    return [(one.min, one.max) if one is not None and one.has_min_max else None for one in statistics]
