"""Drift over time: a bounded series, dense for the newest and sparser the older."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trainer.domain.drifting import Drifted

KEPT = 200
EVERY = timedelta(minutes=1)
MIN_ROWS = 100
"""Answers below which a PSI says more about chance than about drift."""


@dataclass(frozen=True, slots=True)
class DriftSample:
    """PSI by column over `rows` answers at one moment; `noise` is the largest that chance alone makes of any column."""

    at: datetime
    version: str
    rows: int
    psi: Mapping[str, float]
    noise: float


def sample(seen: Drifted, at: datetime) -> DriftSample:
    """What was seen, as one point of the series."""
    psi = {name: round(drift.psi, 4) for name, drift in seen.all.items()}
    noise = max((drift.noise for drift in seen.all.values()), default=0.0)
    return DriftSample(at, seen.version, seen.rows, psi, round(noise, 4))


def is_due(history: Sequence[DriftSample], now: datetime) -> bool:
    """Whether the newest point is old enough for another one."""
    return not history or now - history[-1].at >= EVERY


def added(history: Sequence[DriftSample], newest: DriftSample) -> list[DriftSample]:
    """The series with `newest` at its end; at most KEPT points, for which every second of the older half goes."""
    grown = [*history, newest]
    if len(grown) <= KEPT:
        return grown
    half = len(grown) // 2
    return grown[:half:2] + grown[half:]
