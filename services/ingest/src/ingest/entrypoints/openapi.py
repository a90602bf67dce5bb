"""The OpenAPI page's account of the two routes that read their bodies themselves."""

from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter

from flywheel_schemas.events import FeedbackRequest
from http_api import body, problems
from http_api.problems import Problem, ProblemDocument
from ingest.application.ports import BrokerAway, Crowded, Unconfirmed
from ingest.domain.refusals import DoesNotFit, TokenRefused, UnknownModel, Violation
from ingest.entrypoints import batch_route, feedback_route, splitting, statuses

_REF = "#/components/schemas/{model}"
_TOKEN = "WyI4ZjE0ZTQ1Zi1jZWVhLTQ2N2EtOWI…"  # noqa: S105 - an example, cut short
CORRECTION = {"feedback_token": _TOKEN, "kind": "correction", "label": "on_time", "user_id": "alice"}
CONFIRMATION = {"feedback_token": _TOKEN, "kind": "confirmation"}
EXAMPLE = {
    "model": "flights",
    "kind": "example",
    "features": {"carrier": "UA", "distance": 1400},
    "label": "late",
    "occurred_at": "2026-11-24T12:00:00Z",
}
RATING = {"feedback_token": _TOKEN, "kind": "rating", "rating": 4, "comment": "Mostly right."}
_EVENT_ID = "5f0c5f3e-7e0c-4c53-a7b4-3f3a3c9d8f4e"


class AcceptedBody(BaseModel):
    """Kafka has the feedback."""

    event_id: str
    status: Literal["accepted"] = "accepted"
    message: str = feedback_route.THANKS


class BatchItem(BaseModel):
    """What became of one event of a batch."""

    index: int
    event_id: str | None
    status: Literal["accepted", "rejected"]
    problem: ProblemDocument | None = None


class BatchBody(BaseModel):
    """What became of a batch."""

    accepted: int
    rejected: int
    items: list[BatchItem]


def install(app: FastAPI) -> None:
    """Add the two routes to the document that `app` serves."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        if feedback_route.PATH not in document["paths"]:
            _, shared = TypeAdapter.json_schemas(
                [
                    (name, "validation", TypeAdapter(model))
                    for name, model in (("request", FeedbackRequest), ("one", AcceptedBody), ("many", BatchBody))
                ],
                ref_template=_REF,
            )
            document["components"]["schemas"].update(shared["$defs"])
            document["paths"][feedback_route.PATH] = {"post": _single()}
            document["paths"][batch_route.PATH] = {"post": _batch()}
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # how FastAPI documents replacing it


def _single() -> dict[str, Any]:
    examples = {
        "correction": {"summary": "The right answer for a prediction", "value": CORRECTION},
        "confirmation": {"summary": "The prediction was right", "value": CONFIRMATION},
        "example": {"summary": "Features and their right answer, without a prediction", "value": EXAMPLE},
        "rating": {"summary": "How good the answer was", "value": RATING},
    }
    return {
        "operationId": "post_feedback",
        "summary": "Post one piece of feedback",
        "description": "Answered when Kafka has acknowledged it. Under the same event_id it counts once, however often"
        " it is sent, so every refusal with Retry-After can be answered by sending the same again.",
        "requestBody": {
            "required": True,
            "content": {body.JSON: {"schema": _ref("FeedbackRequest"), "examples": examples}},
        },
        "responses": {"202": _json("Kafka has it", "AcceptedBody")} | _problems(_refusals()),
    }


def _batch() -> dict[str, Any]:
    array = {"type": "array", "items": _ref("FeedbackRequest"), "maxItems": 5000}
    lines = {"schema": {"type": "string", "description": "One JSON object a line, each as in FeedbackRequest"}}
    return {
        "operationId": "post_feedback_batch",
        "summary": "Post many pieces of feedback",
        "description": "At most 5,000 events and 8 MiB, as a JSON array or as NDJSON. What fits is taken, whatever the"
        " rest is like: 202 all, 207 some, 422 none. Look at `rejected`.",
        "requestBody": {
            "required": True,
            "content": {
                body.JSON: {"schema": array, "example": [CORRECTION, EXAMPLE]},
                splitting.NDJSON[0]: lines,
            },
        },
        "responses": {
            "202": _json("All were accepted", "BatchBody"),
            "207": _json("Some were accepted; `items` says which", "BatchBody"),
            "422": _json("None was accepted; `items` says why", "BatchBody"),
        }
        | {status: told for status, told in _problems(_refusals()).items() if status not in ("404", "422")},
    }


def _refusals() -> list[Problem]:
    """One of each kind, made by the code that makes the real ones."""
    label = Violation("/label", "'tardy' is not a value of late; allowed, as text: on_time, late")
    return [
        Problem(400, "Bad Request", "The body is not valid JSON at line 1, column 18: Expecting value."),
        statuses.problem_of(TokenRefused("the feedback token has expired; feedback on this prediction is not taken")),
        Problem(403, "Forbidden", "This key lacks the role feedback:write (it has read)."),
        statuses.problem_of(UnknownModel("trains", ["flights"])),
        body.too_large(65536),
        Problem(415, "Unsupported Media Type", "The Content-Type is 'text/plain'; send application/json."),
        statuses.problem_of(DoesNotFit([label])),
        statuses.problem_of(Crowded(), _EVENT_ID),
        statuses.problem_of(BrokerAway(), _EVENT_ID),
        statuses.problem_of(Unconfirmed(), _EVENT_ID),
    ]


def _problems(found: list[Problem]) -> dict[str, Any]:
    return {str(status): told for status, told in problems.describe(*found).items()}


def _json(description: str, model: str) -> dict[str, Any]:
    return {"description": description, "content": {body.JSON: {"schema": _ref(model)}}}


def _ref(model: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=model)}
