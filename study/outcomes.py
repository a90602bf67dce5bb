"""What a replay is told to do, and what came of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from study.crowd import Manners


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of learning, or of attacking it. `changes` go into the spec, part by part.

    `examples` is the share of the flights that a feed sends as examples (`study.feed`).
    """

    name: str
    audit_percent: float = 2.0
    manners: Manners = field(default_factory=Manners)
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    with_base: bool = True
    with_resolution: bool = True
    burst: bool = False
    examples: float = 0.0
    with_fences: bool = True


@dataclass(frozen=True, slots=True)
class Size:
    """How much of the year: months from March on, every n-th flight, labelled rows per retraining."""

    months: int = 10
    every: int = 1
    feedback_count: int = 2000


@dataclass(frozen=True, slots=True)
class Month:
    """A month's error rate: the truth, and the audited estimate of it with its 95 % interval."""

    truth: float
    value: float
    low: float
    high: float
    audits: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one replay came to. AUC by month of what was served, and of the first version for ever.

    `liars` is the share of the feedback's weight that lies had in the training sets, averaged over them; `caught`
    counts the lies that the last training left out, `wronged` the honest words.
    """

    auc: dict[str, float]
    frozen: dict[str, float]
    errors: dict[str, Month]
    retrainings: int
    promoted: int
    lies_told: int
    liars: float
    caught: int = 0
    wronged: int = 0

    @property
    def mean(self) -> float:
        """AUC averaged by month."""
        return float(np.mean(list(self.auc.values())))

    @property
    def mean_frozen(self) -> float:
        """The same of the first version for ever."""
        return float(np.mean(list(self.frozen.values())))

    def encode(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    @classmethod
    def decode(cls, told: Mapping[str, Any]) -> "Outcome":
        """What `encode` gave."""
        return cls(**{**told, "errors": {month: Month(**each) for month, each in told["errors"].items()}})
