"""How every command answers: a table for people, JSON for programs, and errors that say what to do."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import typer

Row = Mapping[str, Any]


def show(answer: Sequence[Row] | Row, *, as_json: bool, columns: Sequence[str] | None = None) -> None:
    """Prints rows, or the fields of one thing. JSON holds everything; the table, `columns` where they are named.

    Values that JSON does not know (times, paths, UUIDs) are written as their text.
    """
    if as_json:
        sys.stdout.write(json.dumps(answer, indent=2, default=str, ensure_ascii=False) + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=not isinstance(answer, Mapping), header_style="bold")
    if isinstance(answer, Mapping):
        for name in columns or answer:
            table.add_row(name, text(answer.get(name)))
    else:
        names = columns or list(dict.fromkeys(name for row in answer for name in row))
        for name in names:
            table.add_column(name.replace("_", " "), overflow="fold")
        for row in answer:
            table.add_row(*(text(row.get(name)) for name in names))
    # Piped into another program, nothing may be cut at the width that a terminal would have had.
    width = None if sys.stdout.isatty() else 1000
    Console(highlight=False, markup=False, width=width).print(table)


def text(value: Any) -> str:
    """A value as a person reads it: `-` for nothing, yes and no, four digits of a fraction."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case list() | tuple():
            return ", ".join(text(item) for item in value) or "-"
        case Mapping():
            return ", ".join(f"{name}={text(item)}" for name, item in value.items()) or "-"
        case _:
            return str(value)


def complain(message: str, remedy: str) -> None:
    """Says on stderr what is wrong and what to do."""
    typer.secho(message, err=True, fg=typer.colors.RED)
    typer.echo(remedy, err=True)


def fail(message: str, remedy: str, *, exit_code: int = 1) -> NoReturn:
    """Complains, and ends the command."""
    complain(message, remedy)
    raise typer.Exit(exit_code)
