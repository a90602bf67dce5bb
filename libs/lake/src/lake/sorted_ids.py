"""Small Parquet files sorted by event_id: an id is found, or found absent, by reading one group of rows."""

from io import BytesIO
from typing import Any

import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.errors import translated
from lake.lake import Lake
from lake.parquet_groups import ParquetGroups

_GROUP_ROWS = 8192


def encode(rows: pl.DataFrame) -> bytes:
    """`rows`, which have a column event_id, as a file that `SortedIds.find` can search."""
    target = BytesIO()
    table = rows.sort("event_id").to_arrow()
    pq.write_table(table, target, row_group_size=_GROUP_ROWS, compression="zstd", use_dictionary=False)
    return target.getvalue()


class SortedIds:
    """Searches such files. One that is written anew, as an erasure does, is told by its size."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._files = ParquetGroups(lake)

    def find(self, key: str, event_id: str, size: int | None = None) -> dict[str, Any] | None:
        """The row of `event_id` in the file at `key`, or None. Raises LakeUnavailable, VersionGone for no such file.

        `size` is the file's present one in bytes, where it may have been written anew since it was last searched.
        """
        with translated(self._lake.objects.uri(key)):
            opened = self._files.open(key, "event_id", size=size)
            for group in opened.groups("event_id", event_id):
                rows = opened.read(group)
                found = rows.filter(pc.equal(rows.column("event_id"), event_id)).to_pylist()
                return dict(found[0]) if found else None
        return None
