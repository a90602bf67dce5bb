"""Charts as shapes, ready to be drawn as SVG: the server draws them, so they need no script and follow the theme."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

WIDTH, HEIGHT = 960, 220
_LEFT, _BOTTOM, _TOP, _RIGHT = 96, 30, 24, 14
_LABEL_EVERY = 44.0
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One series: an SVG path, its name and its newest value as text."""

    name: str
    path: str
    last: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where (in pixels), and what it says."""

    at: float
    says: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A time at the x axis: where (in pixels), and when, which browsers say in their own zone."""

    at: float
    when: datetime


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure to be marked: where on the x axis, its value, the interval around it, what to call it, its kind."""

    x: float
    value: float
    name: str
    kind: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A dot in pixels, `top` to `bottom` where it has an interval. `says` is empty where it has no room."""

    x: float
    y: float
    top: float
    bottom: float
    says: str
    title: str
    kind: str

    @property
    def is_left(self) -> bool:
        """Whether there is room for words on its right."""
        return self.x <= WIDTH / 2


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines, or marks, over common axes; `moments` where the x axis is time. `summary` says the same in words."""

    title: str
    lines: Sequence[Line]
    y_ticks: Sequence[Tick]
    moments: Sequence[Moment]
    summary: str
    marks: Sequence[Mark] = ()


def mark_chart(title: str, measured: Sequence[Measured], *, over_time: bool) -> Chart | None:
    """Each figure as a dot with its interval; None where there is none. `over_time`: x is Unix time in seconds."""
    if not measured:
        return None
    values = [v for each in measured for v in (each.value, each.low, each.high) if v is not None]
    room = (max(values) - min(values)) * 0.15 or 0.05
    low, high = min(values) - room, max(values) + room
    if min(values) >= 0.0 and max(values) <= 1.0:  # a share: the axis ends where shares do
        low, high = max(low, 0.0), min(high, 1.0)
    xs = [each.x for each in measured]
    x_of, y_of = _scale(min(xs), max(xs), _LEFT + 30, WIDTH - _RIGHT - 30), _scale(low, high, HEIGHT - _BOTTOM, _TOP)
    marks, last = [], float("-inf")
    for each in sorted(measured, key=lambda one: one.x):
        x = x_of(each.x) if len(measured) > 1 else WIDTH / 2
        fits = x - last >= _LABEL_EVERY
        last = x if fits else last
        ends = y_of(each.value if each.high is None else each.high), y_of(each.value if each.low is None else each.low)
        says = each.name if fits else ""
        marks.append(Mark(x, y_of(each.value), *ends, says, f"{each.name}: {number(each.value)}", each.kind))
    y_ticks = [Tick(y_of(value), number(value)) for value in (low, (low + high) / 2, high)]
    newest = max(measured, key=lambda one: one.x)
    summary = f"{len(measured)} in all; {newest.name} at {number(newest.value)}"
    return Chart(title, (), y_ticks, _moments(xs) if over_time else (), summary, marks)


def line_chart(title: str, series: Mapping[str, Sequence[Point]], unit: str = "") -> Chart | None:
    """The series over Unix time in seconds; None where none of them has two points to draw a line between."""
    drawn = {name: points for name, points in series.items() if len(points) > 1}
    if not drawn:
        return None
    xs = [x for points in drawn.values() for x, _ in points]
    ys = [y for points in drawn.values() for _, y in points]
    low, high = min(0.0, *ys), max(0.0, *ys)
    high = high if high > low else low + 1.0
    x_of, y_of = _scale(min(xs), max(xs), _LEFT, WIDTH - _RIGHT), _scale(low, high, HEIGHT - _BOTTOM, _TOP)
    lines = [
        Line(name, "M" + "L".join(f"{x_of(x):.1f} {y_of(y):.1f}" for x, y in points), f"{number(points[-1][1])}{unit}")
        for name, points in drawn.items()
    ]
    y_ticks = [Tick(y_of(value), number(value)) for value in (low, (low + high) / 2, high)]
    summary = "; ".join(f"{line.name} now {line.last}" for line in lines)
    return Chart(title, lines, y_ticks, _moments(xs), summary)


def _moments(times_s: Sequence[float]) -> Sequence[Moment]:
    ends = (_LEFT, min(times_s)), (WIDTH - _RIGHT, max(times_s))
    return [Moment(at, datetime.fromtimestamp(time_s, UTC)) for at, time_s in ends]


def _scale(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: first + (value - low) / span * (last - first)


def number(value: float) -> str:
    """A figure for people: thousands apart, no more digits than say something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
