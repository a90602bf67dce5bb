"""Batches of rows as LightGBM reads them, so that features beyond memory need not be in it."""

from collections.abc import Iterator

import lightgbm
import numpy as np

from trainer.application.rows import Batches

BATCH_ROWS = 65_536


class Stream(lightgbm.Sequence):  # type: ignore[misc]  # lightgbm has no types
    """For the bins LightGBM asks for single rows in ascending order; then it takes batch after batch."""

    batch_size = BATCH_ROWS

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._start, self._held = 0, np.empty((0, len(batches.schema.columns)))

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, place: "slice | int | list[int]") -> np.ndarray:
        if isinstance(place, slice):
            start, stop, _ = place.indices(len(self))
            return self._batches.matrix(start, stop)
        if isinstance(place, list):
            return np.stack([self[each] for each in place])
        if not self._start <= place < self._start + len(self._held):
            self._start = place - place % BATCH_ROWS
            self._held = self._batches.matrix(self._start, min(self._start + BATCH_ROWS, len(self)))
        return np.asarray(self._held[place - self._start]).copy()


def parts(matrix: np.ndarray | Batches) -> Iterator[np.ndarray]:
    """The matrix in pieces that fit memory."""
    if isinstance(matrix, np.ndarray):
        yield matrix
        return
    for start in range(0, len(matrix), BATCH_ROWS):
        yield matrix.matrix(start, min(start + BATCH_ROWS, len(matrix)))


def readable(matrix: np.ndarray | Batches, *, whole: bool) -> np.ndarray | Stream:
    """What lightgbm.Dataset takes: batches as a stream, unless they are needed `whole`."""
    if isinstance(matrix, np.ndarray):
        return matrix
    return np.concatenate(list(parts(matrix))) if whole else Stream(matrix)
