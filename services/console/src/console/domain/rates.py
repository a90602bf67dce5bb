"""Events per second, from counters that only grow."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SAMPLE = re.compile(r"^(\w+)(?:\{([^}]*)\})? ([0-9.eE+-]+)$")


@dataclass(frozen=True, slots=True)
class Sample:
    """The counters at one moment; `at_s` is Unix time in seconds."""

    at_s: float
    totals: Mapping[str, float]


def total(exposition: str, metric: str, label: str = "") -> float | None:
    """The sum of a metric's series whose labels contain `label`, in Prometheus' text form; None where there is none."""
    found = [
        float(match[3])
        for line in exposition.splitlines()
        if (match := _SAMPLE.match(line)) and match[1] == metric and label in (match[2] or "")
    ]
    return sum(found) if found else None


def rates(samples: Sequence[Sample], name: str) -> list[tuple[float, float]]:
    """(time, events per second) between consecutive samples. A counter that shrank began anew, and counts from zero."""
    found = []
    for before, after in pairwise(samples):
        if name in before.totals and name in after.totals and after.at_s > before.at_s:
            grown = after.totals[name] - before.totals[name]
            grown = after.totals[name] if grown < 0 else grown
            found.append((after.at_s, grown / (after.at_s - before.at_s)))
    return found
