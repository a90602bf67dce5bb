"""What the admin API takes and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from flywheel_schemas.events import ModelName

Reason = Annotated[str, Field(min_length=1, max_length=500)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class AddModel(_Asked):
    """Train a first version of a model whose spec and base rows are in the lake."""

    model: ModelName
    reason: Reason = "model added"


class Retrain(_Asked):
    """Retrain now."""

    reason: Reason


class Opened(BaseModel):
    """A training that has begun: GET …/runs shows how it goes."""

    model: str
    run_id: str


class Triggered(BaseModel):
    """A manual trigger: the run that bears its id shows how it goes."""

    model: str
    trigger_id: str


class RunShown(BaseModel):
    """One training. `outcome` null: it runs, or its process died and it will be taken up again, or its version is on
    trial (`rollout` then says shadow, canary or waiting).
    """

    run_id: str
    reason: str
    trigger_id: str | None
    outcome: str | None
    rollout: str | None
    failed: bool
    version: str | None
    started_at: datetime
    ended_at: datetime | None
    metrics: dict[str, float]


class RunningShown(BaseModel):
    """The training under way."""

    run_id: str
    stage: str
    for_s: float


class Runs(BaseModel):
    """Every training of a model, newest first."""

    model: str
    running: RunningShown | None
    runs: list[RunShown]


class Reproduced(BaseModel):
    """Whether the version came out byte for byte."""

    model: str
    version: str
    identical: bool
    differences: list[str]
    rows: int
    rounds: int
