"""Tables that sort and filter by what the address says, so every state of one has an address."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode

Cell = str | int | float | bool | datetime | None
Kind = Literal["text", "long", "number", "time", "state", "id", "day"]
_SHOWN = 50
_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `link` is an address with `{value}` and the row's other columns by key as its variables."""

    key: str
    title: str
    kind: Kind = "text"
    link: str | None = None

    def address(self, row: Mapping[str, Cell]) -> str:
        """Where the row's cell leads."""
        values = {name: quote(str(value), safe="") for name, value in row.items() if value is not None}
        return (self.link or "").format_map({**values, "value": values.get(self.key, "")})


@dataclass(frozen=True, slots=True)
class Table:
    """Rows by column key. `empty` is what to say, and do, where there are none."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Cell]]
    empty: str
    sort: str = ""
    descending: bool = False
    wanted: str = ""
    at: str = ""
    total: int = 0
    whole: bool = False
    at_first: int = _SHOWN

    def arranged(self, path: str, query: Mapping[str, str]) -> "Table":
        """As `query` asks: `<name>.sort`, `<name>.desc`, `<name>.q`, `<name>.all`; unknown columns are passed over."""
        wanted = query.get(f"{self.name}.q", "").strip()
        rows = [row for row in self.rows if not wanted or self._matches(row, wanted.casefold())]
        sort = query.get(f"{self.name}.sort", "")
        descending, whole = (query.get(f"{self.name}.{flag}") == "1" for flag in ("desc", "all"))
        if sort in {column.key for column in self.columns}:
            filled = sorted((row for row in rows if row.get(sort) is not None), key=lambda row: _order(row[sort]))
            rows = (filled[::-1] if descending else filled) + [row for row in rows if row.get(sort) is None]
        at = f"{path}?{urlencode({name: value for name, value in query.items() if name != 'csv'})}"
        return replace(
            self, rows=rows, sort=sort, descending=descending, wanted=wanted, at=at, total=len(self.rows), whole=whole
        )

    def shown(self) -> Sequence[Mapping[str, Cell]]:
        """The first rows, or all where the address says so."""
        return self.rows if self.whole else self.rows[: self.at_first]

    def whole_address(self) -> str:
        """The address at which every row is shown."""
        return f"{self.at}&{urlencode({f'{self.name}.all': 1})}"

    def sorted_address(self, column: Column) -> str:
        """The address at which this table is sorted by `column`; the other way round where it is already."""
        descending = "1" if self.sort == column.key and not self.descending else "0"
        return f"{self.at}&{urlencode({f'{self.name}.sort': column.key, f'{self.name}.desc': descending})}"

    def others(self) -> Sequence[tuple[str, str]]:
        """What else the address says, for a form that changes only this table's filter."""
        pairs = parse_qsl(self.at.partition("?")[2])
        return [(name, value) for name, value in pairs if name != f"{self.name}.q"]

    def direction(self, column: Column) -> str:
        """aria-sort's value."""
        if self.sort != column.key:
            return "none"
        return "descending" if self.descending else "ascending"

    def csv_address(self) -> str:
        """The address of these rows as CSV."""
        return f"{self.at}&{urlencode({'csv': self.name})}"

    def csv(self) -> str:
        """The rows as they are shown, in RFC 4180; text that a spreadsheet would run is quoted by an apostrophe."""
        out = io.StringIO()
        write = csv.writer(out)
        write.writerow([column.key for column in self.columns])
        for row in self.rows:
            write.writerow([_plain(row.get(column.key)) for column in self.columns])
        return out.getvalue()

    def _matches(self, row: Mapping[str, Cell], wanted: str) -> bool:
        return any(wanted in str(row.get(column.key, "")).casefold() for column in self.columns)


def _order(value: Cell) -> tuple[int, float, str]:
    """Numbers (also as text, such as versions) by size, before text by letters."""
    if isinstance(value, datetime):
        return (0, value.timestamp(), "")
    try:
        return (0, float(value or 0), "")
    except (TypeError, ValueError):
        return (1, 0.0, str(value).casefold())


def _plain(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA_BEGINS) else text
