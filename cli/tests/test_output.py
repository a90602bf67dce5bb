import json
from datetime import UTC, datetime

import pytest
import typer

from flywheel_cli.output import fail, show, text

ROWS = [
    {"name": "flights", "champion": "3", "auc": 0.65432, "audited": None, "serving": True},
    {"name": "a-name-that-is-longer-than-any-terminal-is-wide" * 3, "champion": None, "auc": 1.0, "serving": False},
]


def test_json_holds_everything_whatever_the_table_shows(capsys):
    show(ROWS, as_json=True, columns=["name"])
    assert json.loads(capsys.readouterr().out) == ROWS


def test_times_are_written_as_text_in_json(capsys):
    show({"at": datetime(2026, 1, 2, tzinfo=UTC)}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"at": "2026-01-02 00:00:00+00:00"}


def test_a_table_shows_the_named_columns_and_cuts_nothing_in_a_pipe(capsys):
    show(ROWS, as_json=False, columns=["name", "champion"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "champion"]
    assert lines[2].split() == [ROWS[1]["name"], "-"]


def test_the_fields_of_one_thing_come_one_a_line(capsys):
    show({"name": "flights", "versions": ["1", "2"]}, as_json=False)
    assert [line.rstrip().split(maxsplit=1) for line in capsys.readouterr().out.splitlines()] == [
        ["name", "flights"],
        ["versions", "1, 2"],
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (0.123456, "0.1235"),
        ([], "-"),
        ({"a": 1}, "a=1"),
        (1234567, "1234567"),
    ],
)
def test_values_read_as_people_read_them(value, shown):
    assert text(value) == shown


def test_brackets_in_data_are_not_taken_for_markup(capsys):
    show([{"comment": "[bold]late[/bold] [link=x]"}], as_json=False)
    assert "[bold]late[/bold] [link=x]" in capsys.readouterr().out


def test_a_failure_says_what_and_what_to_do_and_leaves_stdout_to_programs(capsys):
    with pytest.raises(typer.Exit) as end:
        fail("MLflow does not answer.", "Start it.")
    captured = capsys.readouterr()
    assert (end.value.exit_code, captured.out) == (1, "")
    assert captured.err.splitlines() == ["MLflow does not answer.", "Start it."]
