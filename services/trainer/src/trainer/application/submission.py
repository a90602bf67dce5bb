"""What is asked of the trainer, and what a training hands in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from flywheel_schemas.events import GateReport, ThresholdReached
from flywheel_schemas.spec import ModelSpec
from registry import ModelVersion
from registry.runs import Run
from trainer.application.fitting import Start, Trained
from trainer.application.judging import Judgement
from trainer.domain.training_set import TrainingSet


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be trained, and why. `trigger` None means that a person added the model."""

    model: str
    reason: str
    trigger: ThresholdReached | None = None

    @property
    def trigger_id(self) -> str | None:
        """The trigger's id as text."""
        return str(self.trigger.trigger_id) if self.trigger else None


@dataclass(frozen=True, slots=True)
class Submission:
    """Everything about a candidate that is kept. `start` is the version that it goes on from, if it does."""

    spec: ModelSpec
    request: Request
    training_set: TrainingSet
    training_set_uri: str
    digest: str
    versions: Mapping[str, int]
    trained: Trained
    judgement: Judgement
    gates: tuple[GateReport, ...]
    champion: ModelVersion | None
    start: Start | None = None


class Ledger(Protocol):
    """Keeps runs and versions with all that is known of them."""

    def register(self, run: Run, submission: Submission) -> ModelVersion:
        """Log the run and register the candidate; again for the same run gives the version that is there."""

    def version_of(self, run: Run) -> ModelVersion | None:
        """The version that the run has already led to."""
