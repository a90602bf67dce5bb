"""The one table from what went wrong to what HTTP calls it."""

from http_api.problems import FieldError, Problem, ProblemError
from ingest.application.ports import BrokerAway, Crowded, NotPublished, SourceAway, Unconfirmed
from ingest.domain.refusals import DoesNotFit, Refused, TokenMissing, TokenRefused, UnknownModel

_TOKEN_HEADERS = {"WWW-Authenticate": 'FeedbackToken realm="flywheel"'}
_REFUSALS: dict[type[Refused], tuple[int, str, str]] = {
    DoesNotFit: (422, "Unprocessable Content", "does_not_fit"),
    UnknownModel: (404, "Not Found", "unknown_model"),
    TokenRefused: (401, "Unauthorized", "token_refused"),
    TokenMissing: (401, "Unauthorized", "token_missing"),
}
_NOT_PUBLISHED: dict[type[NotPublished], tuple[int, str, str, str]] = {
    BrokerAway: (
        503,
        "Service Unavailable",
        "broker_away",
        "Feedback cannot be stored at the moment, and nothing was stored. Send it again in a moment.",
    ),
    Unconfirmed: (
        503,
        "Service Unavailable",
        "unconfirmed",
        "The feedback was not confirmed as stored. Send it again with the same event_id: it counts once, however"
        " often it arrives.",
    ),
    Crowded: (
        429,
        "Too Many Requests",
        "crowded",
        "More feedback arrives than can be stored at the moment; this was not stored. Send it again in a moment.",
    ),
}
_BY_STATUS = {400: "malformed", 401: "key_refused", 403: "role_missing", 413: "too_large", 415: "media_type"}

Failure = ProblemError | Refused | NotPublished | SourceAway
FAILURES = (ProblemError, Refused, NotPublished, SourceAway)


def problem_of(failure: Failure, event_id: str | None = None) -> Problem:
    """The failure as a client reads it. `event_id` is told where sending again under it is safe."""
    if isinstance(failure, ProblemError):
        return failure.problem
    if isinstance(failure, Refused):
        return _of_refusal(failure)
    if isinstance(failure, NotPublished):
        status, title, _, detail = _NOT_PUBLISHED[type(failure)]
        extensions = {} if event_id is None else {"event_id": event_id}
        return Problem(status, title, detail, (), {"Retry-After": str(failure.retry_after_s)}, extensions)
    detail = (
        "Where this feedback is cannot be told at the moment: a store does not answer, or so much waits to be"
        " processed that looking through it takes too long. Ask again later."
    )
    return Problem(503, "Service Unavailable", detail, headers={"Retry-After": "2"})


def reason_of(failure: Failure) -> str:
    """The failure in a word, for metrics."""
    if isinstance(failure, ProblemError):
        return _BY_STATUS.get(failure.problem.status, "other")
    if isinstance(failure, Refused):
        return _REFUSALS[type(failure)][2]
    return "source_away" if isinstance(failure, SourceAway) else _NOT_PUBLISHED[type(failure)][2]


def _of_refusal(failure: Refused) -> Problem:
    status, title, _ = _REFUSALS[type(failure)]
    errors = [FieldError(each.detail, each.pointer) for each in failure.violations]
    headers = _TOKEN_HEADERS if status == 401 else {}
    detail = str(failure)
    if isinstance(failure, DoesNotFit):
        count = f"{len(errors)} fields do" if len(errors) > 1 else "One field does"
        detail = f"{count} not fit; `errors` says which, why, and what is allowed."
    return Problem(status, title, detail, errors, headers)
