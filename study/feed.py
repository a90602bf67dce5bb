"""A feed of examples, some of them from broken instruments, and the look at them on arrival."""

import numpy as np
import polars as pl

from features.profile import Profile, numbers
from flights import data
from study import lab
from study.crowd import Crowd
from study.stages import WORDS, Stage

BROKEN = 0.5
# What a broken instrument says: the end of the range that the spec allows, so the spec alone lets it pass.
_INSTRUMENTS = ("temperature", "dew_point", "wind_speed", "wind_gust", "visibility")


def examples(at: Stage, crowd: Crowd, share: float, until_us: int, *, fenced: bool) -> pl.DataFrame:
    """Rows of feedback: examples of that share of the flights, as far as they have come in by `until_us`.

    Of every second one the instruments are broken and the label says on_time, whatever happened. `fenced`: what lies
    beyond the fences of the base rows is kept apart, as the stream processor does.
    """
    rows = np.flatnonzero(at.landed & (crowd.feed < share) & (crowd.posted_us <= until_us))
    broken = crowd.feed[rows] < share * BROKEN
    features = at.flights[rows].select(data.FEATURES)
    ends = {each.name: each.range[1] for each in at.spec.features if each.name in _INSTRUMENTS and each.range}
    features = features.with_columns(
        pl.when(pl.Series(broken)).then(pl.lit(end)).otherwise(pl.col(name)).alias(name) for name, end in ends.items()
    )
    said = at.late[rows] & ~broken
    posted = pl.Series(crowd.posted_us[rows]).cast(pl.Datetime("us", "UTC"))
    columns = {
        **features.to_dict(),
        "event_id": np.char.mod("e-%d", rows),
        "label": np.take(WORDS, said.astype(int)),
        "kind": np.full(len(rows), "example"),
        "user_hash": np.char.mod("user-%d", crowd.user[rows]),
        "key_id": np.full(len(rows), "feed"),
        "source": np.full(len(rows), "feed"),
        "occurred_at": at.flights["landed_at"].gather(rows),
        "received_at": posted,
        "event_date": posted.dt.date(),
    }
    found = lab.frame("feedback", at.spec, columns)
    return found.filter(~_suspicious(at, features)) if fenced else found


def _suspicious(at: Stage, features: pl.DataFrame) -> pl.Series:
    profile = Profile.of(numbers(at.base, at.spec), at.spec)
    beyond = np.zeros(len(features), bool)
    beyond[list(profile.suspicious(numbers(features, at.spec)))] = True
    return pl.Series(beyond)
