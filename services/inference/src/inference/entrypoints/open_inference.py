"""The Open Inference Protocol v2 over HTTP: what KServe's and Triton's clients speak. Errors are {"error": …}."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from http_api import body, json_body
from http_api.problems import Problem, ProblemError
from inference.application.answer import Question
from inference.application.served import Lineup, ServedModel
from inference.entrypoints import tensors
from inference.entrypoints.predict import MAX_BODY_BYTES, Desk
from inference.entrypoints.tensors import InputError, Json
from telemetry import tracing

NAME, VERSION = "flywheel", "0.1.0"
_encode = msgspec.json.Encoder().encode
_MODEL = "/v2/models/{model}"
_VERSIONED = "/v2/models/{model}/versions/{version}"


def routes(desk: Desk) -> list[Route]:
    """Every route below /v2. Health needs no key, metadata the role read, infer the role predict."""
    protocol = _Protocol(desk)
    found = [
        Route("/v2", _answering(protocol.server)),
        Route("/v2/health/live", _answering(protocol.live)),
        Route("/v2/health/ready", _answering(protocol.ready)),
    ]
    for prefix in (_MODEL, _VERSIONED):
        found += [
            Route(prefix, _answering(protocol.metadata)),
            Route(f"{prefix}/ready", _answering(protocol.model_ready)),
            Route(f"{prefix}/infer", _answering(protocol.infer), methods=["POST"]),
        ]
    return found


class _Protocol:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def server(self, _: Request) -> Json:
        return {"name": NAME, "version": VERSION, "extensions": []}

    async def live(self, _: Request) -> Json:
        return {"live": True}

    async def ready(self, _: Request) -> Json:
        """Ready while each model with a champion has some version that answers, be it an older one."""
        if problem := self._desk.catalogue.unserved():
            raise ProblemError(Problem(503, "Service Unavailable", problem))
        return {"ready": True}

    async def metadata(self, request: Request) -> Json:
        self._desk.keys.authenticate(request.headers).require("read")
        served = self._served(request)
        return {
            "name": served.name,
            "versions": [each.version for each in self._desk.lineup(served.name).members],
            "platform": "lightgbm",
            "inputs": tensors.input_metadata(served.spec),
            "outputs": tensors.output_metadata(served.spec),
        }

    async def model_ready(self, request: Request) -> Json:
        self._desk.keys.authenticate(request.headers).require("read")
        return {"name": self._served(request).name, "ready": True}

    async def infer(self, request: Request) -> Json:
        started_s = time.perf_counter()
        self._desk.keys.authenticate(request.headers).require("predict")
        lineup = self._lineup(request)
        with self._desk.gate:
            body.require_media_type(request, (body.JSON, "application/octet-stream"))
            raw = await body.read(request, MAX_BODY_BYTES)
            traceparent = tracing.continue_trace(request.headers.get("traceparent"))
            aside = len(raw) > self._desk.inline_bytes
            reply: Json = await self._desk.run(aside, self._infer, lineup, raw, traceparent, started_s)
        return reply

    def _infer(self, lineup: Lineup, raw: bytes, traceparent: str, started_s: float) -> Json:
        asked = json_body.parse_strict(raw)
        if not isinstance(asked, dict):
            raise InputError("the body is an object with inputs")
        champion = lineup.champion
        rows = tensors.rows_of(asked.get("inputs"), champion.schema)
        question = Question(rows, _user_id(asked.get("parameters")), traceparent, started_s)
        answers = self._desk.answer.answer(lineup, question)
        reply: Json = {
            "model_name": champion.name,
            "model_version": answers[0].model_version,
            "outputs": tensors.outputs_of(answers, champion.spec, asked.get("outputs")),
        }
        return {"id": asked["id"], **reply} if "id" in asked else reply

    def _served(self, request: Request) -> ServedModel:
        """The version that the path names, else the champion."""
        lineup = self._desk.lineup(request.path_params["model"])
        wanted = request.path_params.get("version")
        if wanted is None:
            return lineup.champion
        for served in lineup.members:
            if served.version == wanted:
                return served
        loaded = " and ".join(served.version for served in lineup.members)
        detail = f"version {wanted} of {lineup.name} is not loaded; version {loaded} is"
        raise ProblemError(Problem(404, "Not Found", detail))

    def _lineup(self, request: Request) -> Lineup:
        """Who answers: everybody for their share, or the one version that the path names."""
        if "version" not in request.path_params:
            return self._desk.lineup(request.path_params["model"])
        return Lineup(self._served(request))


def _user_id(parameters: Any) -> str | None:
    found = parameters.get("user_id") if isinstance(parameters, dict) else None
    if found is not None and (not isinstance(found, str) or not 1 <= len(found) <= 256):
        raise InputError("parameters.user_id is text of 1 to 256 characters")
    return found


def _answering(handler: Callable[[Request], Awaitable[Json]]) -> Callable[[Request], Awaitable[Response]]:
    """The handler's object as JSON, and its errors in the protocol's own form."""

    async def answer(request: Request) -> Response:
        try:
            return Response(_encode(await handler(request)), media_type="application/json")
        except InputError as exc:
            return _error(400, str(exc))
        except ProblemError as exc:
            return _error(exc.problem.status, exc.problem.detail, dict(exc.problem.headers))

    return answer


def _error(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    safe = text.encode("utf-8", "backslashreplace").decode()
    return Response(_encode({"error": safe}), status, headers, "application/json")
