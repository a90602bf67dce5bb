"""One group of rows at a time, whoever wrote the file."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lake.parquet_groups import ParquetGroups


@pytest.mark.parametrize("text", [pa.string(), pa.string_view()], ids=["texts", "views"])
def test_rows_are_found_in_the_one_group_that_may_hold_them(lake, tmp_path, text):
    rows = pa.table({"id": pa.array([f"event-{n}" for n in range(30)], text), "offset": list(range(30))})
    folder = tmp_path / "flights"
    folder.mkdir(parents=True)
    pq.write_table(rows, folder / "part.parquet", row_group_size=10)
    opened = ParquetGroups(lake).open("flights/part.parquet", "offset")
    [group] = opened.groups("offset", 17)
    found = opened.read(group, ("id", "offset", "absent"))
    assert found.filter(pc.equal(found["id"], "event-17")).to_pylist() == [{"id": "event-17", "offset": 17}]
