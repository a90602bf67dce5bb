"""RFC 9457 problem details: the one form of every error that a client reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
_LOCATIONS = {"body": "", "query": "query parameter ", "path": "path parameter ", "header": "header "}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing to mend. `pointer` is an RFC 6901 JSON pointer into the body; "" is the whole of it."""

    detail: str
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, and what to do. `extensions` are further members of the body, `headers` of the response."""

    status: int
    title: str
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)

    def members(self, instance: str | None = None) -> dict[str, Any]:
        """The problem as a JSON object; `instance` is the path that it happened on."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if instance is not None:
            body["instance"] = instance
        if self.errors:
            body["errors"] = [{"detail": error.detail, "pointer": error.pointer} for error in self.errors]
        return {**body, **self.extensions}


UNFORESEEN = Problem(
    500, "Internal Server Error", "Something went wrong on our side; the log of this service says what."
)


class ProblemError(Exception):
    """Ends a request with `problem` as its answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}")
        self.problem = problem


class FieldErrorDocument(BaseModel):
    """One thing to mend: what is wrong, and where (RFC 6901 JSON pointer into the body)."""

    detail: str
    pointer: str


class ProblemDocument(BaseModel):
    """Problem details as in RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[FieldErrorDocument] | None = None


def response(problem: Problem, instance: str | None = None) -> Response:
    """`problem` as an HTTP response."""
    # Lone surrogates of a client's own text must not break the answer that complains of them.
    body = json.dumps(problem.members(instance), ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(body, problem.status, dict(problem.headers), MEDIA_TYPE)


def describe(*problems: Problem) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an OpenAPI operation that may answer `problems`, each an example of its status."""
    described: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        examples: dict[str, Any] = {}
        content = {MEDIA_TYPE: {"schema": _SCHEMA, "examples": examples}}
        entry = described.setdefault(problem.status, {"description": problem.title, "content": content})
        examples = entry["content"][MEDIA_TYPE]["examples"]
        examples[f"example{len(examples) + 1}"] = {"summary": problem.detail, "value": problem.members()}
    return described


def pointer(path: Sequence[str | int]) -> str:
    """The RFC 6901 pointer to `path`, such as /items/0/label."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem; an unforeseen one as 500 without internals (the log has them).

    Its OpenAPI document then describes problems, in place of the framework's own form of errors.
    """

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)  # noqa: S101 - narrows what the framework types as Exception
        return response(error.problem, request.url.path)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - narrows what the framework types as Exception
        return response(_from_http(error, request), request.url.path)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - narrows what the framework types as Exception
        return response(_from_validation(error), request.url.path)

    app.add_exception_handler(ProblemError, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(Exception, _on_unforeseen)
    _describe_problems(app)


async def _on_unforeseen(request: Request, _: Exception) -> Response:
    # Starlette raises the exception again after this answer, so the server logs it with its traceback.
    return response(UNFORESEEN, request.url.path)


def _from_http(error: HTTPException, request: Request) -> Problem:
    title = HTTPStatus(error.status_code).phrase
    detail = str(error.detail)
    if error.status_code == 404 and detail == title:
        detail = f"There is nothing at {request.url.path}; /docs lists what there is."
    elif error.status_code == 405 and detail == title:
        allowed = (error.headers or {}).get("Allow", "another method")
        detail = f"{request.method} is not possible here; use {allowed}."
    return Problem(error.status_code, title, detail, headers=error.headers or {})


def _from_validation(error: RequestValidationError) -> Problem:
    found = error.errors()
    broken = next((each for each in found if each["type"] == "json_invalid"), None)
    if broken is not None:
        why = broken.get("ctx", {}).get("error", "it cannot be read")
        return Problem(400, "Bad Request", f"The body is not valid JSON: {why}.")
    errors = [_field_error(each) for each in found]
    return Problem(422, "Unprocessable Content", "The request does not fit; `errors` names each field.", errors)


def _field_error(error: Mapping[str, Any]) -> FieldError:
    where, *path = error["loc"] or ("body",)
    message = str(error["msg"]).removeprefix("Value error, ")
    if where == "body":
        return FieldError(message, pointer(path))
    name = "/".join(str(part) for part in path)
    return FieldError(f"{_LOCATIONS.get(str(where), '')}{name}: {message}")


def _describe_problems(app: FastAPI) -> None:
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            schemas["ProblemDocument"] = ProblemDocument.model_json_schema(ref_template=_REF)
            schemas.update(schemas["ProblemDocument"].pop("$defs"))
            for operation in (each for path in document.get("paths", {}).values() for each in path.values()):
                _replace_default_422(operation.get("responses", {}))
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # how FastAPI documents replacing it


def _replace_default_422(responses: dict[str, Any]) -> None:
    content = responses.get("422", {}).get("content", {})
    plain = content.get("application/json", {}).get("schema", {})
    if plain.get("$ref", "").endswith("/HTTPValidationError"):
        content.pop("application/json")
        content.setdefault(MEDIA_TYPE, {"schema": _SCHEMA})


_REF = "#/components/schemas/{model}"
_SCHEMA = {"$ref": _REF.format(model="ProblemDocument")}
