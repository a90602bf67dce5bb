"""What the OpenAPI page says of the routes that bypass the framework."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from http_api import problems
from http_api.problems import FieldError, Problem
from inference.entrypoints.admission import RETRY_AFTER, too_late
from inference.entrypoints.desk import unknown
from inference.entrypoints.requests import MAX_ROWS

_REFERENCES = "#/components/schemas/{model}"


class PredictRequest(BaseModel):
    """Instances to answer, each an object of the model's features (GET /v2/models/{model} lists them)."""

    model_config = ConfigDict(extra="forbid")

    instances: list[dict[str, str | float | None]] = Field(min_length=1, max_length=MAX_ROWS)
    user_id: str | None = Field(None, min_length=1, max_length=256, description="Kept only as a keyed hash.")


class PredictionDocument(BaseModel):
    """One answer. Send `feedback_token` back with feedback on it; ask for feedback where it is requested."""

    model_config = ConfigDict(protected_namespaces=())

    prediction_id: str
    feedback_token: str
    feedback_requested: bool
    label: str | float
    scores: dict[str, float] | None = Field(description="Probability of each class; null for a regression.")
    model_version: str
    variant: str
    contributions: dict[str, float] | None = Field(None, description="With explain=true: SHAP value of each feature.")
    base_value: float | None = Field(None, description="With explain=true: what the contributions start from.")


class PredictReply(BaseModel):
    """One prediction per instance, in order."""

    predictions: list[PredictionDocument]


def describe(app: FastAPI) -> None:
    """Add POST /v1/models/{model}/predict to the application's OpenAPI document."""
    framework = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = framework()
            document["paths"]["/v1/models/{model}/predict"] = {"post": _operation()}
            _, definitions = models_json_schema(
                [(PredictRequest, "validation"), (PredictReply, "serialization")], ref_template=_REFERENCES
            )
            document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _operation() -> dict[str, Any]:
    return {
        "tags": ["predict"],
        "summary": f"Answer 1 to {MAX_ROWS:,} instances",
        "operationId": "predict",
        "parameters": [
            {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}},
            {"name": "explain", "in": "query", "schema": {"type": "boolean", "default": False}},
            {"name": "version", "in": "query", "schema": {"type": "string"}, "description": _VERSION},
            {"name": "X-Request-Timeout", "in": "header", "schema": {"type": "number"}, "description": _TIMEOUT},
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _reference("PredictRequest")}}},
        "responses": {
            "200": {
                "description": "The predictions",
                "content": {"application/json": {"schema": _reference("PredictReply")}},
            },
            **{str(status): _without_model(entry) for status, entry in problems.describe(*_PROBLEMS).items()},
        },
    }


def _without_model(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "model"}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": _REFERENCES.format(model=name)}


_VERSION = (
    "The version that answers. One that does not serve is loaded for it, which needs the role operate; its answers are "
    "not recorded, and no feedback is taken on them."
)
_TIMEOUT = "Seconds for which the answer is of use."
_PROBLEMS = (
    Problem(
        422,
        "Unprocessable Content",
        "The request does not fit the model; `errors` names each field.",
        [FieldError("'ZZ' is no carrier; allowed: UA, AA, B6", "/instances/3/carrier")],
    ),
    unknown("flight"),
    Problem(
        503,
        "Service Unavailable",
        "flights has no version yet that was promoted; train one with `flywheel model add`.",
        headers=RETRY_AFTER,
    ),
    too_late(),
)
