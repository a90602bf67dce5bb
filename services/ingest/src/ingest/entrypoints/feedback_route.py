"""POST /v1/feedback, as bare ASGI: this is the path that every answer to every user may take."""

from datetime import UTC, datetime
from time import perf_counter

from http_api import body, problems
from http_api.keys import ApiKeys
from starlette.types import Receive, Scope, Send
from telemetry import tracing

from ingest.application.ports import Accepted, Publishing
from ingest.domain.limits import MAX_EVENT_BYTES
from ingest.entrypoints import measures, statuses
from ingest.entrypoints.intake import Intake

PATH = "/v1/feedback"
THANKS = "Thank you. Your feedback was received and may improve the model."
_AFTER_ID = f'","status":"accepted","message":"{THANKS}"}}'.encode()
_BEFORE_ID = b'{"event_id":"'
_LENGTH = str(len(_BEFORE_ID) + 36 + len(_AFTER_ID)).encode()
_START = {
    "type": "http.response.start",
    "status": 202,
    "headers": [(b"content-type", b"application/json"), (b"content-length", _LENGTH)],
}
Head = dict[bytes, bytes]


class FeedbackRoute:
    """Takes one event, and answers when Kafka has it."""

    def __init__(self, intake: Intake, publishing: Publishing, keys: ApiKeys) -> None:
        self._intake = intake
        self._publishing = publishing
        self._keys = keys
        self._answered = measures.REQUESTS.labels(PATH, "202")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        head: Head = dict(scope["headers"])
        parent = text(head.get(b"traceparent"))
        if tracing.is_recording():
            with tracing.span(f"POST {PATH}", kind=tracing.SpanKind.SERVER, parent=parent):
                await self._answer(head, tracing.current_traceparent(), scope, receive, send)
        else:
            await self._answer(head, tracing.continue_trace(parent), scope, receive, send)

    async def _answer(self, head: Head, traceparent: str, scope: Scope, receive: Receive, send: Send) -> None:
        event_id = None
        try:
            raw = await checked_body(head, self._keys, receive)
            now = datetime.now(UTC)
            event = await self._intake.take_new(raw, now)
            event_id = event.event_id
            await self._publish(event, now, traceparent)
        except statuses.FAILURES as failure:
            problem = statuses.problem_of(failure, event_id)
            measures.REFUSED.labels(statuses.reason_of(failure)).inc()
            measures.REQUESTS.labels(PATH, str(problem.status)).inc()
            await problems.response(problem, PATH)(scope, receive, send)
            return
        self._answered.inc()
        await send(_START)
        await send({"type": "http.response.body", "body": _BEFORE_ID + event_id.encode() + _AFTER_ID})

    async def _publish(self, event: Accepted, now: datetime, traceparent: str) -> None:
        begun = perf_counter()
        await self._publishing.publish(event, now, traceparent)
        measures.PUBLISH_S.observe(perf_counter() - begun)
        measures.ACCEPTED.labels(event.model).inc()


async def checked_body(head: Head, keys: ApiKeys, receive: Receive) -> bytes:
    """The body of somebody who may post feedback. Raises ProblemError 401, 403, 413 or 415."""
    keys.authenticate_text(text(head.get(b"authorization", head.get(b"x-api-key")))).require("feedback:write")
    content_type = head.get(b"content-type")
    if content_type != b"application/json" or b"content-encoding" in head:
        body.check_media_type(text(content_type), text(head.get(b"content-encoding")), (body.JSON,))
    return await body.receive_all(receive, MAX_EVENT_BYTES, text(head.get(b"content-length")), b"expect" in head)


def text(value: bytes | None) -> str | None:
    """A header's value as text."""
    return None if value is None else value.decode("latin-1")
