import csv
import io
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from console.domain.tables import Column, Table

COLUMNS = [Column("name", "Name", link="/models/{value}?at={at}"), Column("version", "Version", "number")]


def table(*rows: dict) -> Table:
    return Table("t", "Things", COLUMNS, rows, "None.")


def names(arranged: Table) -> list:
    return [row["name"] for row in arranged.rows]


def test_versions_sort_by_size_and_what_is_missing_comes_last_both_ways():
    things = table({"name": "a", "version": "10"}, {"name": "b"}, {"name": "c", "version": "9"})

    assert names(things.arranged("/x", {"t.sort": "version"})) == ["c", "a", "b"]
    assert names(things.arranged("/x", {"t.sort": "version", "t.desc": "1"})) == ["a", "c", "b"]


def test_a_column_that_there_is_not_sorts_nothing():
    assert names(table({"name": "b"}, {"name": "a"}).arranged("/x", {"t.sort": "other"})) == ["b", "a"]


def test_the_filter_looks_into_every_column_whatever_the_case():
    things = table({"name": "Anna", "version": 1}, {"name": "Bob", "version": 23})

    assert names(things.arranged("/x", {"t.q": "ANN"})) == ["Anna"]
    assert names(things.arranged("/x", {"t.q": "23"})) == ["Bob"]
    assert things.arranged("/x", {"t.q": "23"}).total == 2


def test_an_address_says_the_whole_state_and_a_second_click_turns_the_order():
    arranged = table({"name": "a"}).arranged("/x", {"model": "m", "t.q": "a", "t.sort": "name", "csv": "t"})

    assert arranged.sorted_address(COLUMNS[0]) == "/x?model=m&t.q=a&t.sort=name&t.sort=name&t.desc=1"
    assert arranged.csv_address().endswith("&csv=t")
    assert ("model", "m") in arranged.others()


def test_a_link_cannot_be_led_elsewhere_by_what_it_names():
    assert COLUMNS[0].address({"name": "../a?b", "at": "x y"}) == "/models/..%2Fa%3Fb?at=x%20y"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), max_size=20))
def test_no_text_becomes_a_formula_in_a_spreadsheet_and_none_is_lost(text):
    [_, row] = list(csv.reader(io.StringIO(table({"name": text, "version": -1}).csv())))

    assert not row[0].startswith(("=", "+", "-", "@", "\t"))
    assert row[0].removeprefix("'") == text or row[0] == text
    assert row[1] == "-1"


def test_a_time_is_exported_as_it_is_written():
    things = Table("t", "", [Column("at", "At", "time")], [{"at": datetime(2026, 1, 2, tzinfo=UTC)}], "")

    assert things.csv().splitlines()[1] == "2026-01-02T00:00:00+00:00"
