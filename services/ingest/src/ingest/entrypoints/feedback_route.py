"""POST /v1/feedback, in full: it takes what fits, and explains what does not. What is plain goes by the lane."""

from datetime import UTC, datetime
from time import perf_counter

from starlette.types import Receive, Scope, Send

from flywheel_schemas.topics import FEEDBACK_EVENTS
from http_api import body, problems
from http_api.keys import ApiKeys
from http_api.problems import Problem
from http_api.raw_headers import Head, credentials, text
from ingest.application.ports import Publishing
from ingest.domain.limits import MAX_EVENT_BYTES
from ingest.domain.refusals import UnknownModel
from ingest.domain.submission import Arrival
from ingest.entrypoints import statuses
from ingest.entrypoints.intake import Intake
from ingest.entrypoints.measures import TALLY
from kafka_runtime import messaging
from telemetry import logging, tracing

PATH = "/v1/feedback"
THANKS = "Thank you. Your feedback was received and may improve the model."
_BEFORE_ID = b'{"event_id":"'
_AFTER_ID = f'","status":"accepted","message":"{THANKS}"}}'.encode()
_LENGTH = str(len(_BEFORE_ID) + 36 + len(_AFTER_ID)).encode()
_HEADERS = ((b"content-type", b"application/json"), (b"content-length", _LENGTH))
ACCEPTED_HEAD = b"HTTP/1.1 202 Accepted\r\n" + b"".join(name + b": " + value + b"\r\n" for name, value in _HEADERS)
log = logging.get(__name__)


class FeedbackRoute:
    """Takes one event, and answers when Kafka has it."""

    def __init__(self, intake: Intake, publishing: Publishing, keys: ApiKeys) -> None:
        self._intake = intake
        self._publishing = publishing
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        head = dict(scope["headers"])
        event = None
        try:
            key_id = self._check(head)
            raw = await body.receive_all(receive, MAX_EVENT_BYTES, head.get(b"content-length"), b"expect" in head)
            arrival = Arrival(datetime.now(UTC), key_id)
            try:
                event = self._intake.take(raw, arrival)
            except UnknownModel:  # it may have been added this moment
                await self._intake.look_for_models()
                event = self._intake.take(raw, arrival)
            begun = perf_counter()
            with messaging.sending(FEEDBACK_EVENTS, message_id=event.event_id):
                await self._publishing.publish(event, arrival.received_at, tracing.current_traceparent())
            TALLY.published_in(perf_counter() - begun)
        except statuses.FAILURES as failure:
            await _refuse(failure, None if event is None else event.event_id, receive, send)
            return
        TALLY.accepted(event.model)
        TALLY.answered(PATH, 202)
        # A list of its own: what stands around the application may add to it.
        await send({"type": "http.response.start", "status": 202, "headers": list(_HEADERS)})
        await send({"type": "http.response.body", "body": accepted(event.event_id)})

    def _check(self, head: Head) -> str | None:
        """The API key's id. Raises ProblemError 401, 403 or 415 for somebody, or a body, that may not post here."""
        principal = self._keys.authenticate_text(credentials(head))
        principal.require("feedback:write")
        content_type = head.get(b"content-type")
        if content_type != b"application/json" or b"content-encoding" in head:
            declared = text(head, b"content-type"), text(head, b"content-encoding")
            body.check_media_type(*declared, (body.JSON,))
        return principal.key_id


async def _refuse(failure: statuses.Failure, event_id: str | None, receive: Receive, send: Send) -> None:
    await problems.response(refusal(failure, event_id), PATH)({"type": "http"}, receive, send)


def accepted(event_id: str) -> bytes:
    """The body of the answer to an accepted event."""
    return _BEFORE_ID + event_id.encode() + _AFTER_ID


def refusal(failure: statuses.Failure, event_id: str | None) -> Problem:
    """The answer to what is not accepted, counted."""
    problem, reason = statuses.problem_of(failure, event_id), statuses.reason_of(failure)
    log.info("feedback_refused", reason=reason, status=problem.status, event_id=event_id)
    TALLY.refused(reason)
    TALLY.answered(PATH, problem.status)
    return problem
