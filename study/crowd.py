"""The people of `make demo` (`flights.crowd`) for all flights at once, and those among them who lie."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import polars as pl

from flights.crowd import ANSWERS_WHEN_ASKED, CONFIRMS_RIGHT, CORRECTS_WRONG, POSTS_DAYS_LATE, USERS
from flywheel_schemas.tokens import audit_drawn

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Manners:
    """How people speak. `flippers` is the share of users who always tell the opposite of what happened.

    `second_thoughts` is the share of words that their user first gave the other way round.
    """

    corrects_wrong: float = CORRECTS_WRONG
    confirms_right: float = CONFIRMS_RIGHT
    flippers: float = 0.0
    second_thoughts: float = 0.0


class Crowd:
    """Draws for `flights` flights; the same draws as the demo's crowd makes of that seed.

    `feed` is a draw per flight for who sends examples instead of speaking about answers.
    """

    def __init__(self, landed_at: pl.Series, seed: int, manners: Manners) -> None:
        draw = np.random.default_rng(seed).random((len(landed_at), 8))
        self._said, late, self._again, self.user = draw[:, 0], draw[:, 1], draw[:, 2], (draw[:, 7] * USERS).astype(int)
        self.feed = draw[:, 3]
        days = np.where(late < POSTS_DAYS_LATE, 1 + 9 * late / POSTS_DAYS_LATE, 1.0)
        micros = (days * DAY.total_seconds() * 1e6).astype(np.int64)
        self.posted_us = landed_at.cast(pl.Int64).fill_null(0).to_numpy() + micros
        self.manners = manners
        self.flips = np.random.default_rng(seed + 1_000).random(USERS)[self.user] < manners.flippers

    def speak(self, flights: np.ndarray, wrong: np.ndarray, audited: np.ndarray) -> np.ndarray:
        """Whether somebody says something about each of `flights` (numbers), given how their answers turned out."""
        volunteers = np.where(wrong, self.manners.corrects_wrong, self.manners.confirms_right)
        return np.asarray(self._said[flights] < np.where(audited, ANSWERS_WHEN_ASKED, volunteers))

    def thinks_again(self, flights: np.ndarray) -> np.ndarray:
        """Whether the word about each of `flights` was first given the other way round."""
        return np.asarray(self._again[flights] < self.manners.second_thoughts)


@cache
def prediction_ids(flights: int, seed: int) -> np.ndarray:
    """One id per flight."""
    return np.array([str(uuid5(NAMESPACE_URL, f"study:{seed}:{flight}")) for flight in range(flights)])


def audits(ids: np.ndarray, percent: float) -> np.ndarray:
    """Which predictions are asked about, by the draw that inference makes."""
    return np.array([audit_drawn(each, percent) for each in ids])
