"""The overview of the loop: which services can do their job, which versions serve, what needs a hand."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Readiness:
    """What one service said of itself. `problems` maps a dependency to what is wrong with it."""

    service: str
    reachable: bool
    problems: dict[str, str]

    @property
    def ready(self) -> bool:
        """Whether the service can do its job."""
        return self.reachable and not self.problems


@dataclass(frozen=True, slots=True)
class Version:
    """One model version as inference sees it."""

    version: str
    state: str
    traffic_percent: float
    loaded: bool


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model and the versions that inference knows. `champion` is None until a first version passed its gates."""

    name: str
    task: str
    champion: str | None
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that is wrong now, and what to do about it."""

    subject: str
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Overview:
    """The page, before it is drawn."""

    services: tuple[Readiness, ...]
    models: tuple[ServedModel, ...]
    alerts: tuple[Alert, ...]
    lag: Mapping[str, int]


def overview(
    services: tuple[Readiness, ...], models: tuple[ServedModel, ...], lag: Mapping[str, int] | None = None
) -> Overview:
    """Services in the order of the flow, models by name, alerts for whatever keeps either from working.

    `lag` counts, by topic, the records that the stream processor has not come to.
    """
    by_name = tuple(sorted(models, key=lambda model: model.name))
    return Overview(services, by_name, (*_service_alerts(services), *_model_alerts(by_name)), lag or {})


def _service_alerts(services: tuple[Readiness, ...]) -> tuple[Alert, ...]:
    alerts: list[Alert] = []
    for service in services:
        if not service.reachable:
            remedy = f"Start it with make up, or read .flywheel/logs/{service.service}.log."
            alerts.append(Alert(service.service, "does not answer", remedy))
        alerts.extend(Alert(service.service, f"{name} is down", what) for name, what in service.problems.items())
    return tuple(alerts)


def _model_alerts(models: tuple[ServedModel, ...]) -> tuple[Alert, ...]:
    alerts: list[Alert] = []
    for model in models:
        if model.champion is None:
            remedy = f"Add base data with flywheel model add, or ask for a training with flywheel retrain {model.name}."
            alerts.append(Alert(model.name, "has no version that serves", remedy))
        for version in model.versions:
            if version.traffic_percent > 0 and not version.loaded:
                what = f"version {version.version} should serve but is not loaded"
                alerts.append(Alert(model.name, what, "Inference says why on its /readyz."))
    return tuple(alerts)
