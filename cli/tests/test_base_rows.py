from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from flywheel_cli.base_rows import BaseFileError, read
from flywheel_schemas.spec import parse_spec

SPEC = parse_spec("""
name: tickets
task: binary
label: {name: priority, values: [normal, urgent], positive: urgent}
features:
  - {name: channel, type: category, values: [mail, chat], required: true}
  - {name: words, type: number, range: [0, 500]}
""")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "base.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_right_file_becomes_typed_rows(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "occurred_at,channel,words,priority,ignored\n"
        "2026-01-01T10:00:00+02:00,mail,12,normal,x\n2026-01-02 08:30:00,chat,,urgent,y\n",
    )
    rows = read(path, SPEC)
    assert rows.columns == ["channel", "words", "label", "occurred_at"]
    assert rows["words"].to_list() == [12.0, None]
    assert rows["label"].to_list() == ["normal", "urgent"]
    assert rows["occurred_at"].to_list() == [
        datetime(2026, 1, 1, 8, tzinfo=UTC),
        datetime(2026, 1, 2, 8, 30, tzinfo=UTC),
    ]


def test_parquet_and_csv_give_the_same_rows(tmp_path: Path) -> None:
    csv = written(tmp_path, "channel,words,priority\nmail,12,normal\nchat,3.5,urgent\n")
    parquet = tmp_path / "base.parquet"
    pl.DataFrame({"channel": ["mail", "chat"], "words": [12.0, 3.5], "priority": ["normal", "urgent"]}).write_parquet(
        parquet
    )
    assert read(csv, SPEC).equals(read(parquet, SPEC))
    assert read(csv, SPEC)["occurred_at"].null_count() == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fax,1,normal", "row 3, channel: 'fax' is not allowed; allowed are mail, chat"),
        (",1,normal", "row 3, channel: is empty, but required"),
        ("mail,many,normal", "row 3, words: 'many' is not a finite number"),
        ("mail,NaN,normal", "row 3, words: 'NaN' is not a finite number"),
        ("mail,501,normal", "row 3, words: 501 is out of range 0 to 500"),
        ("mail,1,whenever", "row 3, priority: 'whenever' is not allowed"),
        ("mail,1,", "row 3, priority: is empty"),
    ],
)
def test_a_wrong_cell_is_named_by_row_and_column(tmp_path: Path, line: str, said: str) -> None:
    path = written(tmp_path, f"channel,words,priority\nmail,1,normal\n{line}\n")
    with pytest.raises(BaseFileError, match=said):
        read(path, SPEC)


def test_a_wrong_time_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "channel,priority,occurred_at\nmail,normal,yesterday\n")
    with pytest.raises(BaseFileError, match="row 2, occurred_at: 'yesterday' is no moment"):
        read(path, SPEC)


def test_many_wrong_cells_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path, "channel,priority\n" + "fax,normal\n" * 25)
    with pytest.raises(BaseFileError, match="and 15 more in 25 rows"):
        read(path, SPEC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("words,priority\n1,normal\n", "lacks the required columns channel"),
        ("channel,words\nmail,1\n", "has no column priority"),
        ("channel,priority\n", "has no rows"),
    ],
)
def test_a_file_without_what_it_needs_says_what_it_has(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BaseFileError, match=said):
        read(written(tmp_path, text), SPEC)


def test_a_file_that_is_not_there_or_not_a_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(BaseFileError, match="does not exist"):
        read(tmp_path / "none.csv", SPEC)
    with pytest.raises(BaseFileError, match=r"neither \.csv nor \.parquet"):
        read(tmp_path / "base.xlsx", SPEC)
