import pyarrow as pa
import pytest

from lake import errors, read, schema, versions
from lake.append import append_absent, append_all, append_once, transaction_id, watermarks

ID = transaction_id("feedback-events", 0)
OTHER = transaction_id("feedback-events", 1)


@pytest.fixture
def table(lake, spec):
    table = lake.table("fruit", "feedback")
    table.ensure(schema.feedback(spec))
    return table


def offsets(table):
    return sorted(read.collect(read.scan(table), table.uri)["kafka_offset"].to_list())


def test_the_same_rows_again_are_not_appended(table, rows):
    first = append_once(table, rows(0, 9), ID, 9)
    again = append_once(table, rows(0, 9), ID, 9)
    assert (first.rows_appended, again.rows_appended, again.committed) == (10, 0, False)
    assert offsets(table) == list(range(10))


def test_only_what_lies_beyond_the_watermark_is_appended(table, rows):
    append_once(table, rows(0, 9), ID, 9)
    result = append_once(table, rows(5, 14), ID, 14)
    assert result.rows_appended == 5
    assert result.found == {ID: 9}
    assert offsets(table) == list(range(15))


def test_a_zombie_with_a_stale_snapshot_appends_nothing(table, lake, rows):
    zombie = lake.__class__(lake.settings).table("fruit", "feedback")
    append_once(zombie, rows(0, 9), ID, 9)
    append_once(table, rows(10, 19), ID, 19)
    assert append_once(zombie, rows(10, 19), ID, 19).rows_appended == 0
    assert offsets(table) == list(range(20))


def test_a_lower_last_offset_never_moves_the_watermark_back(table, rows):
    append_once(table, rows(0, 9), ID, 9)
    assert not append_once(table, rows(0, 4), ID, 4).committed
    assert watermarks(table.snapshot(fresh=True), [ID]) == {ID: 9}


def test_one_commit_moves_the_watermarks_of_several_partitions(table, rows):
    both = pa.concat_tables([rows(0, 4, 0), rows(0, 7, 1)])
    result = append_all(table, both, {ID: 4, OTHER: 9}, lambda _: {})
    assert result.rows_appended == 13
    assert watermarks(table.snapshot(fresh=True), [ID, OTHER]) == {ID: 4, OTHER: 9}


def test_of_several_partitions_each_drops_what_it_already_stored(table, rows):
    append_once(table, rows(0, 4, 0), ID, 4)
    both = pa.concat_tables([rows(0, 4, 0), rows(0, 4, 1)])
    seen = []
    result = append_all(table, both, {ID: 4, OTHER: 4}, lambda found: seen.append(dict(found)) or {})
    assert result.rows_appended == 5
    assert seen == [{ID: 4, OTHER: -1}]


def test_a_commit_without_rows_still_moves_the_watermark_and_keeps_its_metadata(table, rows):
    result = append_all(table, rows(0, 3).slice(0, 0), {ID: 3}, lambda _: {"flywheel": '{"duplicates": 4}'})
    assert result.committed
    assert versions.list_versions(table)[0].flush == {"duplicates": 4}
    assert watermarks(table.snapshot(fresh=True), [ID]) == {ID: 3}


def test_rows_without_a_new_column_are_appended_with_nulls(table, lake, spec, rows):
    wider = schema.feedback(spec).append(pa.field("sugar", pa.float64()))
    append_once(table, rows(0, 1), ID, 1)
    lake.__class__(lake.settings).table("fruit", "feedback").ensure(wider)
    append_once(table, rows(2, 3), ID, 3)
    table.forget()
    append_once(table, rows(4, 5), ID, 5)
    found = read.collect(read.scan(table), table.uri)
    assert found["sugar"].null_count() == 6


def test_a_column_that_changes_its_type_is_refused(table, spec):
    changed = schema.feedback(spec).set(1, pa.field("weight", pa.string()))
    with pytest.raises(errors.SchemaChanged, match="weight"):
        table.ensure(changed)


def test_a_table_that_vanished_is_not_created_again(table, rows, spec):
    import shutil
    from urllib.parse import urlsplit

    shutil.rmtree(urlsplit(table.uri).path)
    table.forget()
    with pytest.raises(errors.TableMissing):
        append_once(table, rows(0, 0), ID, 0)
    with pytest.raises(errors.TableMissing):
        table.ensure(schema.feedback(spec))


def test_labelled_rows_are_counted_from_the_log(table, rows):
    append_once(table, rows(0, 9), ID, 9)
    version = append_once(table, rows(10, 14, label=None), ID, 14).version
    append_once(table, rows(15, 15), ID, 15)
    assert versions.labelled_count(table, version) == (version, 10)
    assert versions.row_count(table, version) == 15
    assert versions.row_count(table) == 16


def test_gaps_below_the_watermark_of_a_sparse_table_are_filled_once(table, rows):
    append_absent(table, pa.concat_tables([rows(2, 2), rows(9, 9)]), {ID: 9})
    filled = append_absent(table, pa.concat_tables([rows(2, 2), rows(5, 5), rows(9, 9), rows(12, 12)]), {ID: 12})
    assert filled.rows_appended == 2
    assert not append_absent(table, pa.concat_tables([rows(2, 2), rows(5, 5)]), {ID: 5}).committed
    assert offsets(table) == [2, 5, 9, 12]
    assert watermarks(table.snapshot(fresh=True), [ID]) == {ID: 12}
