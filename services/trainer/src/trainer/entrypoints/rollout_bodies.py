"""What the routes about rollouts take and answer."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Reason = Annotated[str, Field(min_length=1, max_length=500)]
Version = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,9}$", examples=["7"])]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Promote(_Asked):
    """Let a version serve. A rejected one needs `force`, for all traffic at once."""

    version: Version
    reason: Reason
    strategy: Literal["instant", "canary", "blue_green"] = "instant"
    force: bool = False


class Rollback(_Asked):
    """Go back to `version`, or to whoever served before what is new."""

    reason: Reason
    version: Version | None = None


class Because(_Asked):
    """Why."""

    reason: Reason


class Changed(BaseModel):
    """A step of the rollout that has been taken. `previous` served before, if that changed."""

    model_config = ConfigDict(protected_namespaces=())

    model: str
    action: str
    version: str
    champion: str | None
    challenger: str | None
    traffic_percent: float
    previous: str | None
    reason: str


class Counted(BaseModel):
    """Audited answers. Of a regression `right` is the sum of scores: minus the error, in units of the mean error."""

    n: int
    right: float


class Point(BaseModel):
    """What was known at one time. The bounds hold at all times at once; null: no evidence yet."""

    at: datetime
    champion: Counted | None
    challenger: Counted | None
    difference: float | None
    low: float | None
    high: float | None


class GuardrailShown(BaseModel):
    """One limit of the spec, and what was measured (null: nothing, which breaches nothing)."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    limit: float
    value: float | None
    breached: bool


class RolloutShown(BaseModel):
    """A rollout. `step` counts the steps taken, 0 in the shadow; `why` says what it waits for, or why it ended."""

    model_config = ConfigDict(protected_namespaces=())

    model: str
    state: str
    strategy: str
    champion: str | None
    challenger: str
    traffic_percent: float
    step: int
    steps: list[float]
    started_at: datetime
    paused: bool
    evidence: list[Point]
    guardrails: list[GuardrailShown]
    disagreement: dict[str, Any] = Field(description="Answers given aside, and of which differ: by class and by slice.")
    decision: str
    why: str


class AuditEntry(BaseModel):
    """One action on one version, by a person (the id of their key) or by the trainer."""

    sequence: int
    at: datetime
    who: str
    action: str
    version: str
    traffic_percent: float
    reason: str


class AuditLog(BaseModel):
    """Newest first."""

    model_config = ConfigDict(protected_namespaces=())

    model: str
    entries: list[AuditEntry]
