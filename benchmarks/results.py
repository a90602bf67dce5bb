"""Results that a program can read and a person too: `.flywheel/results/<name>.json` and the same as a table."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).resolve().parents[1] / ".flywheel" / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `reference` is what it is measured against in the same run, `ratio` is value / reference.

    `n` is how many observations stand behind it.
    """

    name: str
    value: float
    unit: str
    reference: float | None = None
    ratio: float | None = None
    n: int | None = None
    note: str | None = None


def write(name: str, rows: Sequence[Row], folder: Path = FOLDER, console: Console | None = None) -> Path:
    """Write the file, print the table, and give the file's path. A reader never sees half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    draft = path.with_suffix(f".{os.getpid()}.draft")
    draft.write_text(json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)
    shown = console or Console()
    shown.print(table(name, rows))
    for row in rows:
        if row.note:
            shown.print(f"{row.name}: {row.note}", style="dim", highlight=False, soft_wrap=True)
    return path


def table(title: str, rows: Sequence[Row]) -> Table:
    """The rows as a table without their notes; columns that no row uses are left out."""
    shown = Table(title=title, title_justify="left")
    cells = {
        "name": [row.name for row in rows],
        "value": [figure(row.value) for row in rows],
        "unit": [row.unit for row in rows],
        "reference": [figure(row.reference) for row in rows],
        "ratio": [figure(row.ratio) for row in rows],
        "n": [figure(row.n) for row in rows],
    }
    used = [name for name, column in cells.items() if any(column)]
    for name in used:
        shown.add_column(
            name, no_wrap=name == "name", justify="right" if name in {"value", "reference", "ratio", "n"} else "left"
        )
    for cell in zip(*(cells[name] for name in used), strict=True):
        shown.add_row(*cell)
    return shown


def figure(value: float | None) -> str:
    """A number for people: whole ones with separators, others with three significant digits or two decimals."""
    if value is None:
        return ""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"
