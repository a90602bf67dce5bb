"""Rows of a training set, wherever they lie: whole in memory, or batch by batch from the pinned Parquet file."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from features import FeatureSchema
from flywheel_schemas.spec import ModelSpec

STREAM_ABOVE = 1_000_000
"""A fit on more rows than this never holds their features in memory all at once."""


class Rows(Protocol):
    """A training set in the order of time."""

    @property
    def index(self) -> pl.DataFrame:
        """Every column that is no feature."""

    def features(self, places: np.ndarray) -> pl.DataFrame:
        """The features of the rows at `places` (ascending)."""


class FrameRows:
    """Rows in memory."""

    def __init__(self, frame: pl.DataFrame, spec: ModelSpec) -> None:
        self._features = frame.select(spec.feature_names)
        self.index = frame.drop(spec.feature_names)

    def features(self, places: np.ndarray) -> pl.DataFrame:
        """As Rows says."""
        return self._features[places]


@dataclass(frozen=True, slots=True)
class Batches:
    """Some rows as numbers, made when a batch of them is asked for."""

    schema: FeatureSchema
    rows: Rows
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.places)

    def matrix(self, start: int, stop: int) -> np.ndarray:
        """Float64 of shape (stop - start, columns)."""
        return numbers(self.schema, self.rows.features(self.places[start:stop]))


def numbers(schema: FeatureSchema, features: pl.DataFrame) -> np.ndarray:
    """The columns of `features` as the model sees them, by the function that serving uses."""
    return schema.matrix({name: features[name].to_arrow() for name in features.columns})


def matrix_of(schema: FeatureSchema, rows: Rows, places: np.ndarray) -> np.ndarray | Batches:
    """The rows at `places` as numbers: whole, or as batches where there are more than STREAM_ABOVE."""
    batches = Batches(schema, rows, places)
    return batches.matrix(0, len(places)) if len(places) <= STREAM_ABOVE else batches
