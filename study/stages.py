"""What every replay of one size has in common: the flights, the base rows, and the version to begin with."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

import flights
from flights import data
from flights.lines import POSITIVE, matrix
from flywheel_schemas.spec import GatePolicy, ModelSpec, load_spec
from study import lab
from study.outcomes import Size
from trainer.domain.training_set import Sources

SPEC = Path(flights.__file__).with_name("flights.yaml")
DAY_US = 86_400_000_000
WORDS = ("on_time", POSITIVE)


@dataclass(frozen=True, slots=True)
class Stage:
    """What every replay of one size has in common."""

    spec: ModelSpec
    base: pl.DataFrame
    flights: pl.DataFrame
    numbers: np.ndarray
    late: np.ndarray
    landed: np.ndarray
    day: np.ndarray
    scheduled_us: np.ndarray


@cache
def stage(size: Size) -> Stage:
    """The flights of that size."""
    spec, rows = _at_default_confidence(load_spec(SPEC)), data.replayed(size.months).gather_every(size.every)
    scheduled = rows["scheduled_at"].cast(pl.Int64).to_numpy()
    return Stage(
        spec=spec,
        base=lab.frame("base", spec, data.base().gather_every(size.every).to_dict()),
        flights=rows,
        numbers=matrix(spec, rows),
        late=(rows["label"] == POSITIVE).fill_null(value=False).to_numpy(),
        landed=rows["label"].is_not_null().to_numpy(),
        day=(scheduled - scheduled[0]) // DAY_US,
        scheduled_us=scheduled,
    )


def _at_default_confidence(spec: ModelSpec) -> ModelSpec:
    default = GatePolicy.model_fields["confidence"].default
    return spec.model_copy(update={"gates": spec.gates.model_copy(update={"confidence": default})})


@cache
def first_version(size: Size) -> lab.Champion:
    """What `flywheel model add` makes of the base rows."""
    at = stage(size)
    nothing = Sources(at.base, lab.frame("feedback", at.spec, {}), lab.frame("predictions", at.spec, {}))
    candidate = lab.retrain(at.spec, nothing, None).candidate
    assert candidate is not None
    return candidate
