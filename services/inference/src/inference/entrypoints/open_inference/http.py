"""The protocol over HTTP. Errors are {"error": …}."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from http_api import body
from http_api.keys import Principal
from http_api.problems import Problem, ProblemError
from inference.application.served import Lineup, ServedModel
from inference.entrypoints import replies
from inference.entrypoints.admission import timeout_of
from inference.entrypoints.desk import MAX_BODY_BYTES, Desk
from inference.entrypoints.open_inference import json_form, model
from inference.entrypoints.open_inference.infer import (
    EXTENSIONS,
    NAME,
    PLATFORM,
    VERSION,
    Came,
    infer,
    shape_of,
    versions_of,
)
from inference.entrypoints.open_inference.json_form import Json
from inference.entrypoints.open_inference.tensors import InputError
from telemetry import tracing

_BINARY = "application/octet-stream"
_JSON_LENGTH = "Inference-Header-Content-Length"
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
            Route(f"{prefix}/infer", _counted(_answering(protocol.infer)), methods=["POST"]),
        ]
    return found


class _Protocol:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def server(self, _: Request) -> Response:
        return _json({"name": NAME, "version": VERSION, "extensions": EXTENSIONS})

    async def live(self, _: Request) -> Response:
        return _json({"live": True})

    async def ready(self, _: Request) -> Response:
        """Ready while each model with a champion has some version that answers, be it an older one."""
        if problem := self._desk.catalogue.unserved():
            raise ProblemError(Problem(503, "Service Unavailable", problem))
        return _json({"ready": True})

    async def metadata(self, request: Request) -> Response:
        served = await self._served(request)
        return _json(
            {
                "name": served.name,
                "versions": versions_of(self._desk, served),
                "platform": PLATFORM,
                "inputs": _described(model.inputs(served.spec)),
                "outputs": _described(model.outputs(served.spec)),
            }
        )

    async def model_ready(self, request: Request) -> Response:
        return _json({"name": (await self._served(request)).name, "ready": True})

    async def infer(self, request: Request) -> Response:
        started_s = time.perf_counter()
        desk, headers = self._desk, request.headers
        who = desk.keys.authenticate(headers)
        who.require("predict")
        lineup = await self._lineup(request, who)
        timeout_s = timeout_of(headers.get("x-request-timeout"))
        declared = headers.get("content-length", "")
        with desk.admission.taking_on(int(declared) if declared.isdigit() else 0):
            # Triton's own client names no type where it sends binary data.
            media_type = headers.get("content-type") or _BINARY
            body.check_media_type(media_type, headers.get("content-encoding"), (body.JSON, _BINARY))
            raw = await body.read(request, MAX_BODY_BYTES)
            came = Came(lineup, tracing.current_traceparent(), started_s)
            reply: Response = await desk.run(
                self._infer,
                *(came, raw, headers.get(_JSON_LENGTH)),
                size_bytes=len(raw),
                deadline_s=None if timeout_s is None else started_s + timeout_s,
            )
        return reply

    def _infer(self, came: Came, raw: bytes, json_length: str | None) -> Response:
        asked = json_form.read(raw, json_length)
        written, length = json_form.write(infer(self._desk, came, asked), asked)
        if length is None:
            return Response(written, media_type=body.JSON)
        return Response(written, headers={_JSON_LENGTH: str(length)}, media_type=_BINARY)

    async def _served(self, request: Request) -> ServedModel:
        """The version that the path names, else the champion."""
        who = self._desk.keys.authenticate(request.headers)
        who.require("read")
        return (await self._lineup(request, who)).champion

    async def _lineup(self, request: Request, who: Principal) -> Lineup:
        model, version = request.path_params["model"], request.path_params.get("version")
        return self._desk.lineup(model) if version is None else await self._desk.chosen(model, version, who)


def _described(tensors: list[model.Described]) -> list[Json]:
    return [{"name": each[0], "datatype": each[1], "shape": shape_of(each)} for each in tensors]


def _answering(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The handler, with its errors in the protocol's own form."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except InputError as exc:
            return _error(400, str(exc))
        except ProblemError as exc:
            return _error(exc.problem.status, exc.problem.detail, dict(exc.problem.headers))

    return answer


def _counted(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        status = 500
        try:
            response = await handler(request)
            status = response.status_code
            return response
        finally:
            replies.replied(replies.INFER, status)

    return answer


def _json(document: Any) -> Response:
    return Response(_encode(document), media_type=body.JSON)


def _error(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    safe = text.encode("utf-8", "backslashreplace").decode()
    return Response(_encode({"error": safe}), status, headers, body.JSON)
