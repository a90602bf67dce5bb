"""A batch's body into the bytes of its events."""

import msgspec
from http_api import json_body
from http_api.problems import Problem, ProblemError

from ingest.domain.limits import MAX_BATCH_EVENTS
from ingest.domain.refusals import DoesNotFit, Violation

NDJSON = ("application/x-ndjson", "application/ndjson")
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


def array(raw: bytes) -> list[bytes]:
    """The elements of a JSON array, unread. Raises ProblemError 400 or 413, or DoesNotFit for another value."""
    try:
        elements = _decode_array(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = json_body.parse_strict(raw)
        if isinstance(value, list):
            raise ProblemError(Problem(400, "Bad Request", "The body is not valid JSON.")) from None
        detail = "a batch is a JSON array of feedback, or one JSON object a line as application/x-ndjson"
        raise DoesNotFit([Violation("", detail)]) from None
    return _within_limits([bytes(element) for element in elements])


def lines(raw: bytes) -> list[bytes]:
    """The lines of NDJSON that are not blank, unread. Raises ProblemError 413, or DoesNotFit for none."""
    return _within_limits([line for line in raw.split(b"\n") if line and not line.isspace()])


def _within_limits(events: list[bytes]) -> list[bytes]:
    if not events:
        raise DoesNotFit([Violation("", "the batch is empty; send at least one event")])
    if len(events) > MAX_BATCH_EVENTS:
        detail = f"The batch has {len(events):,} events; send at most {MAX_BATCH_EVENTS:,} at a time."
        raise ProblemError(Problem(413, "Content Too Large", detail))
    return events
