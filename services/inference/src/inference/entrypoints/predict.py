"""POST /v1/models/{model}/predict, without the costs of a framework on the way."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from http_api import problems
from http_api.body import JSON, check_media_type, receive_all
from http_api.keys import ApiKeys
from http_api.problems import FieldError, Problem, ProblemError
from inference.application.answer import Answer, AnswerQuestions, Question
from inference.application.catalogue import Catalogue, NotServed, UnknownModel
from inference.application.served import Lineup
from inference.entrypoints.requests import decoder_of
from telemetry import logging, tracing

MAX_BODY_BYTES = 16 * 1024 * 1024
RETRY_AFTER = {"Retry-After": "1"}
_PREFIX, _SUFFIX = "/v1/models/", "/predict"
_UNFORESEEN = Problem(
    500, "Internal Server Error", "Something went wrong on our side; the log of this service says what."
)
log = logging.get(__name__)
_EXPLAIN = {b"": False, b"explain=false": False, b"explain=0": False, b"explain=true": True, b"explain=1": True}


class _Reply(msgspec.Struct, gc=False):
    predictions: list[Answer]


_encode = msgspec.json.Encoder().encode


class Gate:
    """Lets a bounded number of requests in at once: beyond it a quick refusal beats a growing wait."""

    def __init__(self, limit: int, on_refusal: Callable[[], None]) -> None:
        self._free = limit
        self._on_refusal = on_refusal

    def __enter__(self) -> None:
        if self._free <= 0:
            self._on_refusal()
            detail = "More requests are running than this replica takes; try again in a second."
            raise ProblemError(Problem(503, "Service Unavailable", detail, headers=RETRY_AFTER))
        self._free -= 1

    def __exit__(self, *_: object) -> None:
        self._free += 1


@dataclass(frozen=True, slots=True)
class Desk:
    """What answering over HTTP needs. Bodies above `inline_bytes` (some hundred rows) are answered in `pool`."""

    catalogue: Catalogue
    answer: AnswerQuestions
    keys: ApiKeys
    gate: Gate
    pool: ThreadPoolExecutor
    inline_bytes: int = 64 * 1024

    def lineup(self, model: str) -> Lineup:
        """Who answers. Raises ProblemError 404 or 503."""
        try:
            return self.catalogue.lineup(model)
        except UnknownModel as exc:
            raise ProblemError(unknown(model)) from exc
        except NotServed as exc:
            problem = Problem(503, "Service Unavailable", f"{exc}.", headers=RETRY_AFTER)
            raise ProblemError(problem) from exc

    async def run(self, aside: bool, work: Callable[..., Any], *arguments: Any) -> Any:
        """`work(*arguments)`, in the pool when it may take long."""
        if aside:
            return await asyncio.get_running_loop().run_in_executor(self.pool, work, *arguments)
        return work(*arguments)


def unknown(model: str) -> Problem:
    """No such model."""
    return Problem(404, "Not Found", f"There is no model named {model!r}; GET /v1/models lists those that there are.")


class FrontDoor:
    """Answers predict requests itself; whatever else comes goes on to `inner`. Its errors look like everybody's."""

    def __init__(self, desk: Desk, inner: ASGIApp) -> None:
        self._desk = desk
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection scope."""
        path: str = scope.get("path", "")
        if not path.endswith(_SUFFIX) or not path.startswith(_PREFIX) or scope.get("method") != "POST":
            await self._inner(scope, receive, send)
            return
        try:
            await self._predict(path[len(_PREFIX) : -len(_SUFFIX)], scope, receive, send)
        except ProblemError as exc:
            await problems.response(exc.problem, path)(scope, receive, send)
        except ClientDisconnect:
            return
        except Exception:
            log.exception("predict_failed", path=path)
            await problems.response(_UNFORESEEN, path)(scope, receive, send)

    async def _predict(self, model: str, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = time.perf_counter()
        desk = self._desk
        headers: dict[bytes, bytes] = dict(scope["headers"])
        _authorize(desk.keys, headers)
        lineup = desk.lineup(model)
        explain = _explain(scope["query_string"])
        with desk.gate:
            raw = await _body(headers, receive)
            traceparent = tracing.continue_trace(_text(headers, b"traceparent"))
            aside = explain or len(raw) > desk.inline_bytes
            body = await desk.run(aside, self._reply, lineup, raw, explain, traceparent, started_s)
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", b"%d" % len(body)),
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})

    def _reply(self, lineup: Lineup, raw: bytes, explain: bool, traceparent: str, started_s: float) -> bytes:
        rows, user_id = decoder_of(lineup.champion.schema).decode(raw)
        question = Question(rows, user_id, traceparent, started_s, explain)
        return _encode(_Reply(self._desk.answer.answer(lineup, question)))


def _authorize(keys: ApiKeys, headers: dict[bytes, bytes]) -> None:
    credentials = headers.get(b"authorization") or headers.get(b"x-api-key")
    keys.authenticate_text(None if credentials is None else credentials.decode("latin-1")).require("predict")


async def _body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    content_type = headers.get(b"content-type")
    if content_type != b"application/json" or b"content-encoding" in headers:
        check_media_type(_text(headers, b"content-type"), _text(headers, b"content-encoding"), (JSON,))
    return await receive_all(receive, MAX_BODY_BYTES, headers.get(b"content-length"), b"expect" in headers)


def _explain(query: bytes) -> bool:
    explain = _EXPLAIN.get(query)
    if explain is None:
        error = FieldError("the one query parameter is explain, true or false")
        raise ProblemError(Problem(422, "Unprocessable Content", "The query cannot be understood.", [error]))
    return explain


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")
