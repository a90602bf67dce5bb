"""The admin API's part about where a version came from."""

from datetime import datetime
from typing import Annotated, Any

import polars as pl
from fastapi import FastAPI, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from flywheel_schemas.events import GateReport
from http_api import problems
from http_api.problems import Problem, ProblemError
from trainer.application.lineage import Lineage, Origin
from trainer.entrypoints.routes import Name, Reader, problems_of

NDJSON = "application/x-ndjson"
_SHOWN = ("event_id", "kind", "source", "occurred_at", "label", "_weight", "_split")
_GONE = Problem(410, "No longer kept", "The rows of this version are past retention.dataset_versions.")


class ChangeShown(BaseModel):
    """One state that the version came into."""

    state: str
    traffic_percent: float
    at: datetime
    who: str
    reason: str


class VersionShown(BaseModel):
    """A version and all that it was made of."""

    model_config = ConfigDict(protected_namespaces=())

    model: str
    version: str
    state: str
    traffic_percent: float
    registered_at: datetime
    reason: str
    trigger_id: str | None
    run_id: str
    judged_against: str | None
    previous_champion: str | None
    gates: list[GateReport]
    metrics: dict[str, float] = Field(description="judged.*: before the refit; refit.*: after it")
    training_set_hash: str
    dataset_versions: dict[str, int]
    rows_by_source: dict[str, int] = Field(description="Empty where the training set is no longer kept")
    erased_rows: int = Field(description="Rows that it had learned from, and that people have had erased since")
    parameters: dict[str, Any]
    rounds: int
    continues: str | None = Field(description="The version whose trees it goes on from")
    libraries: dict[str, str]
    git_commit: str
    artifact_uri: str
    artifact_sha256: str
    history: list[ChangeShown]


def install(app: FastAPI, lineage: Lineage) -> None:
    """Add the routes."""

    @app.get("/v1/models/{model}/versions/{version}", tags=["lineage"], responses=problems_of(404, 503))
    def show(model: Name, version: str, _: Reader) -> VersionShown:
        """What the version is, what its gates saw, and what it was trained on."""
        return _shown(lineage.of(model, version))

    @app.get(
        "/v1/models/{model}/versions/{version}/rows",
        tags=["lineage"],
        responses={
            **problems_of(404, 503),
            **problems.describe(_GONE),
            200: {"content": {NDJSON: {}}, "description": "One row a line; the header Link leads to the next page."},
        },
        response_class=Response,
    )
    def rows(
        model: Name,
        version: str,
        _: Reader,
        after: Annotated[str, Query(max_length=64, description="The event id that the last page ended with")] = "",
        limit: Annotated[int, Query(ge=1, le=50_000)] = 10_000,
    ) -> Response:
        """The feedback that taught the version, in the order of event ids. Base rows have no id and are not listed."""
        page = lineage.rows(model, version, after, limit)
        if page is None:
            raise ProblemError(_GONE)
        shown = page.select(pl.col(_SHOWN).name.map(lambda name: name.removeprefix("_")))
        return Response(shown.write_ndjson(), media_type=NDJSON, headers=_next(model, version, shown, limit))


def _next(model: str, version: str, page: pl.DataFrame, limit: int) -> dict[str, str]:
    """The next page as RFC 8288 writes it; none after the last."""
    if page.height < limit:
        return {}
    path = f"/v1/models/{model}/versions/{version}/rows?after={page['event_id'][-1]}&limit={limit}"
    return {"Link": f'<{path}>; rel="next"'}


def _shown(origin: Origin) -> VersionShown:
    found, record = origin.version, origin.record
    return VersionShown(
        model=found.model,
        version=found.version,
        state=found.state.value,
        traffic_percent=found.traffic_percent,
        registered_at=found.created_at,
        reason=found.reason,
        trigger_id=found.trigger_id,
        run_id=found.run_id,
        judged_against=found.judged_against,
        previous_champion=found.previous_champion,
        gates=list(found.gates),
        metrics=dict(found.metrics),
        training_set_hash=found.training_set_hash,
        dataset_versions=dict(found.dataset_versions),
        rows_by_source=dict(origin.rows_by_source),
        erased_rows=found.erased_rows,
        parameters=dict(record["parameters"]),
        rounds=record["rounds"],
        continues=record.get("continues"),
        libraries=dict(record["libraries"]),
        git_commit=found.git_commit,
        artifact_uri=found.artifact_uri,
        artifact_sha256=found.artifact_sha256,
        history=[ChangeShown.model_validate(change.encode()) for change in found.history],
    )
