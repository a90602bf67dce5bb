"""Small Parquet files sorted by event_id: an id is found, or found absent, by reading one group of rows."""

import threading
from collections import OrderedDict
from io import BytesIO
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import translated
from lake.lake import Lake

_GROUP_ROWS = 8192
_FOOTERS = 4096


def encode(rows: pl.DataFrame) -> bytes:
    """`rows`, which have a column event_id, as a file that `SortedIds.find` can search."""
    target = BytesIO()
    table = rows.sort("event_id").to_arrow()
    pq.write_table(table, target, row_group_size=_GROUP_ROWS, compression="zstd", use_dictionary=False)
    return target.getvalue()


class SortedIds:
    """Searches such files; they never change, so what was read of their footers stays valid."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = threading.Lock()
        self._footers: OrderedDict[str, tuple[pq.FileMetaData, list[tuple[str, str]]]] = OrderedDict()

    def find(self, key: str, event_id: str) -> dict[str, Any] | None:
        """The row of `event_id` in the file at `key`, or None. Raises LakeUnavailable, VersionGone for no such file."""
        with translated(self._lake.objects.uri(key)):
            metadata, bounds = self._footer(key)
            for group, (lowest, highest) in enumerate(bounds):
                if lowest <= event_id <= highest:
                    rows = pq.ParquetFile(self._open(key), metadata=metadata).read_row_group(group)
                    found = rows.filter(pa.compute.equal(rows.column("event_id"), event_id)).to_pylist()
                    return dict(found[0]) if found else None
        return None

    def _footer(self, key: str) -> tuple[pq.FileMetaData, list[tuple[str, str]]]:
        with self._lock:
            if key in self._footers:
                self._footers.move_to_end(key)
                return self._footers[key]
        metadata = pq.ParquetFile(self._open(key)).metadata
        column = metadata.schema.names.index("event_id")
        statistics = [metadata.row_group(n).column(column).statistics for n in range(metadata.num_row_groups)]
        found = metadata, [(one.min, one.max) for one in statistics if one is not None and one.has_min_max]
        with self._lock:
            self._footers[key] = found
            if len(self._footers) > _FOOTERS:
                self._footers.popitem(last=False)
        return found

    def _open(self, key: str) -> Any:
        filesystem, path = self._lake.file_system()
        return filesystem.open_input_file(f"{path}/{key}")
