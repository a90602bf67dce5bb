from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import diff as differences
from lake import schema
from lake.append import append_once
from lake.diff import changes, diff, old_and_new, relabelled_words

START = datetime(2026, 3, 1, tzinfo=UTC)
ROW = st.fixed_dictionaries(
    {
        "key": st.integers(0, 20).map(str),
        "prediction_id": st.sampled_from([None, "p", "q"]),
        "day": st.sampled_from([None, date(2026, 3, 1), date(2026, 3, 2)]),
        "source": st.sampled_from([None, "web", "app"]),
        "model_version": st.sampled_from([None, "1", "2"]),
        "label": st.sampled_from([None, "yes", "no"]),
        "received_at": st.integers(0, 100).map(lambda s: START + timedelta(seconds=s)),
        "kafka_partition": st.integers(0, 2),
        "kafka_offset": st.integers(0, 20),
    }
)
ROWS = st.lists(ROW, max_size=20, unique_by=lambda row: row["key"])
TYPES = {
    "key": pl.String, "prediction_id": pl.String, "day": pl.Date, "source": pl.String, "model_version": pl.String,
    "label": pl.String, "received_at": pl.Datetime("us", "UTC"), "kafka_partition": pl.Int32, "kafka_offset": pl.Int64,
}  # fmt: skip


def frame(rows):
    return pl.DataFrame(rows, schema=TYPES)


@settings(max_examples=40)
@given(ROWS, ROWS)
def test_what_is_taken_away_and_put_on_leads_from_the_old_to_the_new(old, new):
    added, removed = old_and_new(frame(old), frame(new))
    keys = {row["key"] for row in old} - set(removed["key"]) | set(added["key"])
    assert keys == {row["key"] for row in new}


@settings(max_examples=40)
@given(ROWS, ROWS)
def test_the_way_back_is_the_way_there_turned_round(old, new):
    added, removed = old_and_new(frame(old), frame(new))
    again_added, again_removed = old_and_new(frame(new), frame(old))
    assert set(added["key"]) == set(again_removed["key"])
    assert set(removed["key"]) == set(again_added["key"])


@settings(max_examples=40)
@given(ROWS, ROWS)
def test_every_changed_row_is_counted_in_one_group(old, new):
    added, removed = old_and_new(frame(old), frame(new))
    relabelled = relabelled_words(frame(old), frame(new))
    counted = changes(added, removed, relabelled)
    sums = [int(counted[name].sum()) for name in ("added", "removed", "relabelled")]
    assert sums == [added.height, removed.height, relabelled.height]
    assert not counted.select(differences.GROUPS).is_duplicated().any()


@settings(max_examples=40)
@given(ROWS)
def test_a_version_does_not_differ_from_itself(rows):
    added, removed = old_and_new(frame(rows), frame(rows).reverse())
    assert added.is_empty()
    assert removed.is_empty()
    assert relabelled_words(frame(rows), frame(rows).reverse()).is_empty() or _ties(rows)


def _ties(rows):
    """Whether two rows came at one place of one partition, which Kafka rules out."""
    places = [(row["received_at"], row["kafka_partition"], row["kafka_offset"]) for row in rows]
    return len(set(places)) < len(places)


@pytest.fixture
def table(lake, spec):
    table = lake.table("fruit", "feedback")
    table.ensure(schema.feedback(spec))
    return table


def test_rows_that_only_moved_between_files_are_no_change(table, rows):
    for offset in range(3):
        version = append_once(table, rows(offset, offset), "feedback-events/0", offset).version
    table.at(None).optimize.compact()
    assert len(table.at(None).file_uris()) == 1
    found = diff(table, version)
    assert (found.added, found.removed, found.changes) == (0, 0, ())


def test_a_diff_says_what_came_by_day_and_label_and_what_was_relabelled(table, rows):
    first = rows(0, 0).set_column(
        rows(0, 0).schema.get_field_index("prediction_id"), "prediction_id", pl.Series(["p"]).cast(pl.String).to_arrow()
    )
    version = append_once(table, first, "feedback-events/0", 0).version
    word = rows(1, 1, label="no")
    word = word.set_column(word.schema.get_field_index("prediction_id"), "prediction_id", first.column("prediction_id"))
    append_once(table, word, "feedback-events/0", 1)
    append_once(table, rows(2, 4), "feedback-events/0", 4)
    found = diff(table, version)
    assert (found.added, found.removed, found.relabelled) == (4, 0, 1)
    by_label = {change.label: (change.day, change.added, change.relabelled) for change in found.changes}
    assert by_label == {"no": (date(2026, 3, 1), 1, 1), "yes": (date(2026, 3, 1), 3, 0)}
    back = diff(table, found.to_version, version)
    assert (back.added, back.removed) == (0, 4)


def test_old_files_lack_columns_that_the_table_gained(table, rows, spec):
    version = append_once(table, rows(0, 1), "feedback-events/0", 1).version
    wider = schema.feedback(spec).append(schema.pa.field("height", schema.pa.float64()))
    table.ensure(wider)
    append_once(table, rows(2, 2), "feedback-events/0", 2)
    assert diff(table, version).added == 1
    assert diff(table, table.at(None).version(), version).removed == 1


def test_the_base_is_compared_by_content(lake, spec):
    table = lake.table("fruit", "base")
    table.ensure(schema.base(spec))
    data = pl.DataFrame({"colour": ["red", "red", None], "weight": [1.0, 1.0, 2.0], "label": ["yes", "yes", "no"]})
    old = table.replace(data.to_arrow().cast(schema.pa.schema([*list(schema.base(spec))[:3]])))
    table.replace(data.slice(1).to_arrow().cast(schema.pa.schema([*list(schema.base(spec))[:3]])))
    found = diff(table, old)
    assert (found.added, found.removed) == (0, 1)
