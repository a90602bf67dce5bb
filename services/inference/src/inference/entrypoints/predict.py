"""POST /v1/models/{model}/predict, in full and without a framework. What is small and plain goes by the lane."""

import time
from functools import partial
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from http_api import observed, problems
from http_api.body import JSON, check_media_type, receive_all
from http_api.keys import ApiKeys, Principal
from http_api.problems import FieldError, Problem, ProblemError
from http_api.raw_headers import Head, credentials, text
from inference.application.answer import Answer, Question
from inference.application.served import Lineup
from inference.entrypoints import replies
from inference.entrypoints.admission import TIMEOUT_HEADER, timeout_of
from inference.entrypoints.desk import MAX_BODY_BYTES, Desk
from inference.entrypoints.requests import decoder_of
from telemetry import logging, tracing

PREFIX, SUFFIX = "/v1/models/", "/predict"
_NAME = f"POST {replies.PREDICT}"
_UNFORESEEN = Problem(
    500, "Internal Server Error", "Something went wrong on our side; the log of this service says what."
)
log = logging.get(__name__)
_FLAGS = {"false": False, "0": False, "true": True, "1": True}


class _Reply(msgspec.Struct, gc=False):
    predictions: list[Answer]


_encode = msgspec.json.Encoder().encode


class FrontDoor:
    """Answers predict requests itself; whatever else comes goes on to `inner`. Its errors look like everybody's."""

    def __init__(self, desk: Desk, inner: ASGIApp) -> None:
        self._desk = desk
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection scope."""
        path: str = scope.get("path", "")
        if not path.endswith(SUFFIX) or not path.startswith(PREFIX) or scope.get("method") != "POST":
            await self._inner(scope, receive, send)
            return
        if not tracing.is_recording():
            await self._answer(path, scope, receive, send)
            return
        with observed.server_span(_NAME, scope) as span:
            observed.end(span, await self._answer(path, scope, receive, send), _NAME, replies.PREDICT)

    async def _answer(self, path: str, scope: Scope, receive: Receive, send: Send) -> int:
        status = 200
        try:
            await self._predict(path[len(PREFIX) : -len(SUFFIX)], scope, receive, send)
        except ProblemError as exc:
            status = exc.problem.status
            await problems.response(exc.problem, path)(scope, receive, send)
        except ClientDisconnect:
            status = 499
        except Exception:
            status = 500
            log.exception("predict_failed", path=path)
            await problems.response(_UNFORESEEN, path)(scope, receive, send)
        replies.replied(replies.PREDICT, status)
        return status

    async def _predict(self, model: str, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = time.perf_counter()
        desk = self._desk
        headers = dict(scope["headers"])
        who = authorize(desk.keys, headers)
        explain, version = asked_for(scope["query_string"])
        lineup = desk.lineup(model) if version is None else await desk.chosen(model, version, who)
        deadline_s = _deadline_s(headers, started_s)
        size = _size(headers)
        desk.admission.enter(size)
        try:
            raw = await _body(headers, receive)
            running = tracing.current_traceparent_or_none() if tracing.is_recording() else None
            traceparent = running or tracing.continue_trace(text(headers, b"traceparent"))
            work = partial(reply, desk, lineup, raw, traceparent=traceparent, started_s=started_s, explain=explain)
            size_bytes = None if explain else len(raw)
            body = await desk.run(work, size_bytes=size_bytes, deadline_s=deadline_s)
        finally:
            desk.admission.leave(size)
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


def reply(
    desk: Desk, lineup: Lineup, raw: bytes, *, traceparent: str, started_s: float, explain: bool = False
) -> bytes:
    """The answers to the request in `raw`, as JSON. Raises ProblemError 400 or 422."""
    rows, user_id = decoder_of(lineup.champion.schema).decode(raw)
    question = Question(rows, user_id, traceparent, started_s, explain)
    return _encode(_Reply(desk.answer.answer(lineup, question)))


def authorize(keys: ApiKeys, headers: Head) -> Principal:
    """Who asks. Raises ProblemError 401 or 403."""
    who = keys.authenticate_text(credentials(headers))
    who.require("predict")
    return who


async def _body(headers: Head, receive: Receive) -> bytes:
    content_type = headers.get(b"content-type")
    if content_type != b"application/json" or b"content-encoding" in headers:
        check_media_type(text(headers, b"content-type"), text(headers, b"content-encoding"), (JSON,))
    return await receive_all(receive, MAX_BODY_BYTES, headers.get(b"content-length"), b"expect" in headers)


def _deadline_s(headers: Head, started_s: float) -> float | None:
    if TIMEOUT_HEADER not in headers:
        return None
    timeout_s = timeout_of(text(headers, TIMEOUT_HEADER))
    return None if timeout_s is None else started_s + timeout_s


def _size(headers: Head) -> int:
    declared = headers.get(b"content-length", b"")
    return int(declared) if declared.isdigit() else 0


def asked_for(query: bytes) -> tuple[bool, str | None]:
    """`explain` and `version` of the query. Raises ProblemError 422 for anything else in it."""
    if not query:
        return False, None
    named = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    explain = _FLAGS.get(named.pop("explain", "false"))
    version = named.pop("version", None)
    if explain is None or named:
        error = FieldError("the query parameters are explain, true or false, and version, a number")
        raise ProblemError(Problem(422, "Unprocessable Content", "The query cannot be understood.", [error]))
    return explain, version
