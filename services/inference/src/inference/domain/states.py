"""What each model is doing, and whether this process can do its job."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class LoadState(StrEnum):
    """Where one version stands in this process."""

    LOADING = "loading"
    CHAMPION = "champion"
    CHALLENGER = "challenger"
    SHADOW = "shadow"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class TrialStatus:
    """The version on trial beside the champion, and why it does not answer (`problem`)."""

    version: str
    percent: float
    loaded: bool
    problem: str | None = None

    @property
    def state(self) -> LoadState:
        """Whether it answers, answers aside, or was refused."""
        if not self.loaded:
            return LoadState.REFUSED
        return LoadState.CHALLENGER if self.percent > 0.0 else LoadState.SHADOW


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What should serve a model (`wanted`), what does (`serving`), and why they differ (`problem`).

    A challenger that cannot be loaded is no reason for a replica to be unready.
    """

    model: str
    wanted: str | None = None
    serving: str | None = None
    state: LoadState | None = None
    problem: str | None = None
    trial: TrialStatus | None = None

    @property
    def complaint(self) -> str | None:
        """Why this model is not served as it should be; None when it is, or is being swapped right now."""
        if self.wanted is None or self.wanted == self.serving:
            return None
        if self.problem is not None:
            instead = f"version {self.serving} serves instead" if self.serving else "no version serves"
            return f"{self.model} version {self.wanted}: {self.problem}; {instead}"
        return None if self.serving else f"{self.model} version {self.wanted} is being loaded"


@dataclass(frozen=True, slots=True)
class Sources:
    """What has been heard of so far. A source's problem is None once it has answered."""

    registry_problem: str | None = "has not answered yet"
    topic_problem: str | None = "has not been read yet"
    asked: bool = False

    @property
    def complaint(self) -> str | None:
        """Why nobody has said yet what should serve; None when somebody has."""
        if self.registry_problem is None or self.topic_problem is None:
            return None
        return f"the registry {self.registry_problem}; the topic model-updated {self.topic_problem}"


def readiness(sources: Sources, models: Iterable[ModelStatus]) -> str | None:
    """Why this process cannot serve all that it should; None when it can.

    With registry and topic both away, whatever was loaded from the copies on disk has to do; without any it is unready.
    """
    known = list(models)
    if not sources.asked:
        return "starting: asking the registry and the topic model-updated what to serve"
    complaints = [complaint for status in known if (complaint := status.complaint) is not None]
    if sources.complaint and not any(status.serving for status in known):
        complaints.append(
            f"nothing says what to serve: {sources.complaint}; and INFERENCE_CACHE_DIR holds no copy of a model. "
            "Check MLFLOW_TRACKING_URI and KAFKA_BOOTSTRAP_SERVERS"
        )
    return ". ".join(complaints) or None
