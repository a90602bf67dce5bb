"""A batch's body into the bytes of its events."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from http_api import json_body
from http_api.problems import Problem, ProblemError
from ingest.domain.limits import MAX_BATCH_EVENTS, MAX_EVENT_BYTES
from ingest.domain.refusals import DoesNotFit, Violation
from ingest.domain.submission import Submission
from ingest.entrypoints import parsing

NDJSON = ("application/x-ndjson", "application/ndjson")
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Batch:
    """The events of a batch as bytes, and as what the quick way found in them (None: nothing, or not tried)."""

    raws: Sequence[bytes]
    quick: Sequence[Submission | None]


def split(raw: bytes, *, lines: bool) -> Batch:
    """The batch in `raw`: NDJSON, or a JSON array.

    Raises ProblemError 400 or 413, or DoesNotFit for what is no batch. What its events are like is left open.
    """
    raws = _lines(raw) if lines else _array(raw)
    if not raws:
        raise DoesNotFit([Violation("", "the batch is empty; send at least one event")])
    if len(raws) > MAX_BATCH_EVENTS:
        detail = f"The batch has {len(raws):,} events; send at most {MAX_BATCH_EVENTS:,} at a time."
        raise ProblemError(Problem(413, "Content Too Large", detail))
    found: Sequence[Submission | None] | None = parsing.quick_all(raw, lines=lines)
    if found is None or len(found) != len(raws):
        found = [parsing.quick(each) if len(each) <= MAX_EVENT_BYTES else None for each in raws]
    return Batch(raws, found)


def _lines(raw: bytes) -> list[bytes]:
    return [line for line in raw.split(b"\n") if line and not line.isspace()]


def _array(raw: bytes) -> list[bytes]:
    try:
        return [bytes(element) for element in _decode_array(raw)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = json_body.parse_strict(raw)
    if isinstance(value, list):
        raise ProblemError(Problem(400, "Bad Request", "The body is not valid JSON."))
    detail = "a batch is a JSON array of feedback, or one JSON object a line as application/x-ndjson"
    raise DoesNotFit([Violation("", detail)])
