"""What the use cases ask of the world."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from inference.domain.claims import Artifact, Claim


class ModelRefused(Exception):
    """An artifact that must not serve. `kind` is corrupt, misfit, crashed or missing; the text says more."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class SourceUnavailable(Exception):
    """The registry, the object store or Kafka does not answer; the same again may work."""


class Booster(Protocol):
    """A loaded LightGBM model. Safe to use from several threads."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of its columns, in order."""

    @property
    def outputs(self) -> int:
        """How many numbers it gives per row."""

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory."""

    def predict_one(self, numbers: list[float]) -> list[float]:
        """`outputs` numbers for one row."""

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Float64 of shape (rows, outputs)."""

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """SHAP values of shape (rows, outputs, features + 1), in the model's raw units; the last is the base value."""


class OpensBoosters(Protocol):
    """Turns a file of LightGBM text into a booster."""

    def open(self, model_file: Path) -> Booster:
        """Raises ModelRefused when it is none, or crashes."""


class Champions(Protocol):
    """The registry, as serving needs it."""

    def all(self) -> list[Claim]:
        """The champion of every model that has one. Raises SourceUnavailable."""

    def find(self, model: str, version: str) -> Artifact:
        """Where a version's files lie. Raises SourceUnavailable, or ModelRefused when there is no such version."""


class Specs(Protocol):
    """Which models there are at all."""

    def known(self) -> dict[str, str]:
        """The task of every model that a spec describes, by name. Raises SourceUnavailable."""


class Copies(Protocol):
    """The copies on disk of what was served."""

    def bring(self, artifact: Artifact) -> Path:
        """The folder with the artifact's files, fetched and verified if need be.

        Raises ModelRefused (damaged) or SourceUnavailable.
        """

    def last_served(self) -> list[Claim]:
        """What served when this process last ran."""

    def remember(self, claim: Claim) -> None:
        """Note that this is what serves now; older copies may go."""

    def find(self, model: str, version: str) -> Artifact | None:
        """A version that still has a copy here."""


class Answered(msgspec.Struct, frozen=True):
    """One request's answers on their way to Kafka. `answers` are in the order of `rows`."""

    model: str
    version: str
    variant: str
    rows: Sequence[msgspec.Struct]
    answers: Sequence[Any]
    user_hash: str | None
    answered_at_s: float
    latency_ms: float
    traceparent: str


class PredictionLog(Protocol):
    """Takes what was answered. Never blocks and never raises."""

    def offer(self, answered: Answered) -> None:
        """Hand over; what cannot be kept is counted as dropped."""


class Watches(Protocol):
    """What is counted and timed."""

    def swapped(self, model: str, seconds: float) -> None:
        """A version began to serve, `seconds` after it was first asked for."""

    def serves_after(self, model: str, seconds: float) -> None:
        """A version began to serve, `seconds` after the threshold was reached that led to it."""

    def refused(self, model: str, kind: str) -> None:
        """A version was refused; `kind` is that of ModelRefused, or unavailable."""

    def answered(self, model: str, version: str, variant: str, rows: int, seconds: float) -> None:
        """One request was answered."""
