"""From a body's bytes to a submission: quickly, or carefully where quick is not sure.

The quick way accepts only what the careful one accepts too, and gives the same submission; whatever
it does not like it leaves to the careful way, which alone decides and explains.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
from pydantic import ValidationError

from flywheel_schemas.events import FeedbackRequest
from http_api import json_body
from http_api.problems import Problem, ProblemError
from ingest.domain.models import KnownModel
from ingest.domain.refusals import DoesNotFit
from ingest.domain.submission import Submission
from ingest.entrypoints import explaining

_MICROSECONDS = len("2026-11-24T12:00:00.123456Z")


class _Quick(Submission, kw_only=True, forbid_unknown_fields=True, gc=False):
    # Text at first, since readers differ in what they make of odd times; a datetime before anybody sees it.
    occurred_at: str | None = None  # type: ignore[assignment]


_decode = msgspec.json.Decoder(_Quick).decode
_decode_array = msgspec.json.Decoder(list[_Quick]).decode
_decode_lines = msgspec.json.Decoder(_Quick).decode_lines
_BLANKS = tuple((blank, blank + b":") for blank in (b" ", b"\n", b"\t", b"\r"))
_NOT_QUICK = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError)


def quick(raw: bytes) -> Submission | None:
    """The submission in `raw`, or None where the careful way must decide."""
    try:
        found = _decode(raw)
        keys = _finish(found)
    except _NOT_QUICK:
        return None
    return found if _has_distinct_keys(raw, keys) else None


def quick_all(raw: bytes, *, lines: bool) -> Sequence[Submission] | None:
    """All submissions of a batch (lines, or an array) at once, or None where each must be looked at by itself."""
    try:
        found = _decode_lines(raw) if lines else _decode_array(raw)
        keys = sum(map(_finish, found))
    except _NOT_QUICK:
        return None
    return found if _has_distinct_keys(raw, keys) else None


def careful(raw: bytes, model_of: Callable[[str], KnownModel | None]) -> Submission:
    """The submission in `raw`, by the contract.

    Raises ProblemError 400 for what is no JSON, DoesNotFit for what is no feedback; that names every field at
    once, those of the model (by `model_of`) included.
    """
    value = json_body.parse_strict(raw)
    try:
        request = FeedbackRequest.model_validate_json(raw)
    except ValidationError as error:
        if broken := next((each for each in error.errors() if each["type"] == "json_invalid"), None):
            detail = f"The body is not valid JSON: {broken['ctx']['error']}."
            raise ProblemError(Problem(400, "Bad Request", detail)) from error
        raise DoesNotFit(explaining.violations(error, value, model_of)) from error
    return Submission(
        kind=request.kind.value,
        event_id=request.event_id,
        model=request.model,
        prediction_id=request.prediction_id,
        feedback_token=request.feedback_token,
        features=request.features,
        label=request.label,
        rating=request.rating,
        comment=request.comment,
        user_id=request.user_id,
        source=request.source,
        occurred_at=request.occurred_at,
    )


def _utc(written: str) -> datetime:
    """The moment, where it is written so that every reader agrees on it. Raises msgspec.ValidationError."""
    # Readers round or cut what is finer than a microsecond.
    if "." in written and not (written.endswith("Z") and len(written) <= _MICROSECONDS):
        raise msgspec.ValidationError("left to the careful way")
    moment = msgspec.convert(written, datetime)
    if moment.tzinfo is None:
        raise msgspec.ValidationError("has no time zone")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _finish(found: Submission) -> int:
    """Read the time, which was text until now; gives the number of keys that `found` was read from, at least."""
    if isinstance(found.occurred_at, str):
        found.occurred_at = _utc(found.occurred_at)
    fields = msgspec.structs.astuple(found)
    keys = len(fields) - fields.count(None)
    return keys + len(found.features) if found.features else keys


def _has_distinct_keys(raw: bytes, keys: int) -> bool:
    """Whether the text has just as many keys as were found. Doubtful texts count as not."""
    # Without blanks before colons each key ends with `":`, and that also occurs (escaped) in texts:
    # so the count is at least the number of keys, and equal only where none is repeated.
    for blank, blank_and_colon in _BLANKS:  # one byte is found thirty times as fast as two
        if blank in raw and blank_and_colon in raw:
            return False
    return raw.count(b'":') == keys
