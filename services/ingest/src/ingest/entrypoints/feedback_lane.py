"""POST /v1/feedback where all is as it should be; whatever is not is left to the route, which refuses and explains."""

from datetime import UTC, datetime
from time import perf_counter

from http_api import problems
from http_api.express import Answer, Headers, Taker, head_of
from http_api.keys import ApiKeys
from http_api.problems import ProblemError
from http_api.raw_headers import credentials, text
from ingest.application.ports import Accepted, NotPublished, Publishing
from ingest.domain.limits import MAX_EVENT_BYTES
from ingest.domain.submission import Arrival
from ingest.entrypoints import feedback_route
from ingest.entrypoints.intake import Intake
from ingest.entrypoints.measures import TALLY
from telemetry import tracing

_PATH = feedback_route.PATH.encode()


class FeedbackLane:
    """Takes single events, and answers when Kafka has them (an http_api.express.Lane)."""

    limit_bytes = MAX_EVENT_BYTES

    def __init__(self, intake: Intake, publishing: Publishing, keys: ApiKeys) -> None:
        self._intake = intake
        self._publishing = publishing
        self._keys = keys

    def taker(self, url: bytes) -> Taker | None:
        """`take`, for the route's path."""
        return self.take if url == _PATH else None

    def take(self, headers: Headers, body: bytes, answer: Answer) -> bool:
        """Whether the event is on its way to Kafka; then its outcome is answered."""
        head = dict(headers)
        if not _is_plain(head):
            return False
        try:
            principal = self._keys.authenticate_text(credentials(head))
            principal.require("feedback:write")
            arrival = Arrival(datetime.now(UTC), principal.key_id)
            event = self._intake.take_plain(body, arrival)
            if event is None:
                return False
            if (trace := tracing.continue_unless_kept(text(head, b"traceparent"))) is None:
                return False
            self._publishing.send(event, arrival.received_at, trace, _Outcome(event, answer))
        except (ProblemError, NotPublished):
            return False
        return True


class _Outcome:
    """Answers for one event."""

    __slots__ = ("_answer", "_begun", "_event")

    def __init__(self, event: Accepted, answer: Answer) -> None:
        self._event = event
        self._answer = answer
        self._begun = perf_counter()

    def __call__(self, failure: NotPublished | None) -> None:
        event = self._event
        if failure is None:
            TALLY.published_in(perf_counter() - self._begun)
            TALLY.accepted(event.model)
            TALLY.answered(feedback_route.PATH, 202)
            self._answer(feedback_route.ACCEPTED_HEAD, feedback_route.accepted(event.event_id))
            return
        response = problems.response(feedback_route.refusal(failure, event.event_id), feedback_route.PATH)
        self._answer(head_of(response), bytes(response.body))


def _is_plain(head: dict[bytes, bytes]) -> bool:
    """Whether nothing about the request needs more than the lane: no browser's rules, no coding."""
    return (
        head.get(b"content-type") == b"application/json" and b"content-encoding" not in head and b"origin" not in head
    )
