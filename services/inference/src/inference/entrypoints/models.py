"""GET /v1/models and /v1/models/{model}: what is served here."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from http_api import keys, problems
from http_api.problems import ProblemError
from inference.application.catalogue import Catalogue, UnknownModel
from inference.domain.states import LoadState, ModelStatus
from inference.entrypoints.desk import unknown


class VersionDocument(BaseModel):
    """One version, as this replica has it."""

    version: str
    state: LoadState
    traffic_percent: float
    loaded: bool
    reason: str | None = Field(None, description="Why it is not loaded, or does not answer.")


class ModelDocument(BaseModel):
    """What serves a model here. `task` is null until a spec of it has been seen."""

    name: str
    task: str | None
    champion: str | None
    challenger: str | None
    pinned: str | None = Field(
        None, description="MODEL_PIN of this replica: it serves this version or alias, and ignores promotions."
    )
    versions: list[VersionDocument]


class ModelList(BaseModel):
    """Every model that is known here."""

    models: list[ModelDocument]


def router(catalogue: Catalogue) -> APIRouter:
    """The two routes; they need the role read."""
    routes = APIRouter(prefix="/v1/models", tags=["models"], dependencies=[Depends(keys.require("read"))])

    @routes.get("", summary="All models")
    def list_models() -> ModelList:
        return ModelList(models=[_document(catalogue, name) for name in catalogue.models()])

    @routes.get("/{model}", summary="What serves a model", responses=problems.describe(unknown("flight")))
    def show_model(model: Annotated[str, "its name"]) -> ModelDocument:
        try:
            return _document(catalogue, model)
        except UnknownModel as exc:
            raise ProblemError(unknown(model)) from exc

    return routes


def _document(catalogue: Catalogue, model: str) -> ModelDocument:
    status = catalogue.status(model)
    return ModelDocument(
        name=model,
        task=catalogue.task(model),
        champion=status.serving,
        challenger=status.trial.version if status.trial else None,
        pinned=catalogue.pins.get(model),
        versions=_versions(status),
    )


def _versions(status: ModelStatus) -> list[VersionDocument]:
    found = []
    trial = status.trial
    if status.serving is not None:
        percent = 100.0 - (trial.percent if trial and not trial.problem else 0.0)
        found.append(
            VersionDocument(
                version=status.serving, state=LoadState.CHAMPION, traffic_percent=percent, loaded=True, reason=None
            )
        )
    if trial is not None:
        percent = 0.0 if trial.problem else trial.percent
        found.append(
            VersionDocument(
                version=trial.version,
                state=trial.state,
                traffic_percent=percent,
                loaded=trial.loaded,
                reason=trial.problem,
            )
        )
    if status.wanted is not None and (status.wanted != status.serving or status.problem):
        state = status.state or LoadState.LOADING
        found.append(
            VersionDocument(
                version=status.wanted, state=state, traffic_percent=0.0, loaded=False, reason=status.problem
            )
        )
    return found
