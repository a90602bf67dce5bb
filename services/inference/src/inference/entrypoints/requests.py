"""The body of a predict request: decoded at once where it is right, read with care where it is not."""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any

import msgspec

from features import FeatureSchema
from http_api import json_body
from http_api.problems import FieldError, Problem, ProblemError, pointer

MAX_ROWS = 10_000
MAX_USER_ID_CHARS = 256
_MAX_ERRORS = 100
_KEYS = ("instances", "user_id")

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_spaced_colon = re.compile(rb"[ \t\r\n]:").search

Rows = list[msgspec.Struct]


class BodyDecoder:
    """Decodes the requests of one version. What it accepts is what `problems_of` finds no fault with."""

    def __init__(self, schema: FeatureSchema) -> None:
        self._schema = schema
        instances = Annotated[list[schema.row_type], msgspec.Meta(min_length=1, max_length=MAX_ROWS)]  # type: ignore[name-defined]  # made at run time
        user_id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_USER_ID_CHARS)] | None
        body = msgspec.defstruct(
            "PredictRequest",
            [("instances", instances), ("user_id", user_id, None)],
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decode = msgspec.json.Decoder(body).decode

    def decode(self, raw: bytes) -> tuple[Rows, str | None]:
        """Rows and user id. Raises ProblemError 400 or 422 that names every fault."""
        try:
            body: Any = self._decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise ProblemError(self._refusal(raw, exc)) from exc
        rows: Rows = body.instances
        given = 1 + (body.user_id is not None) + sum(map(self._schema.given, rows))
        # Each value that was kept has its colon: where there is no other, no key came twice.
        if raw.count(b":") != given and not _keys_are_distinct(raw):
            json_body.parse_strict(raw)  # names the repeated key
        return rows, body.user_id

    def _refusal(self, raw: bytes, error: Exception) -> Problem:
        errors = list(islice(problems_of(json_body.parse_strict(raw), self._schema), _MAX_ERRORS))
        detail = "The request does not fit the model; `errors` names each field."
        return Problem(422, "Unprocessable Content", detail, errors or [FieldError(str(error))])


@lru_cache(maxsize=1024)
def decoder_of(schema: FeatureSchema) -> BodyDecoder:
    """The decoder that belongs to `schema`."""
    return BodyDecoder(schema)


def problems_of(body: object, schema: FeatureSchema) -> Iterator[FieldError]:
    """Everything that is wrong with a parsed body."""
    if not isinstance(body, dict):
        yield FieldError('the body is an object such as {"instances": [{…}]}')
        return
    for key in body:
        if key not in _KEYS:
            yield FieldError(f"there is no such field; a request has {' and '.join(_KEYS)}", pointer([key]))
    yield from _user_problems(body.get("user_id"))
    instances = body.get("instances")
    if not isinstance(instances, list):
        yield FieldError("a list of instances is required", "/instances")
    elif not 1 <= len(instances) <= MAX_ROWS:
        yield FieldError(f"1 to {MAX_ROWS:,} instances are answered at a time, not {len(instances):,}", "/instances")
    else:
        for index, instance in enumerate(instances):
            for problem in schema.violations(instance):
                yield FieldError(problem.detail, f"/instances/{index}{problem.pointer}")


def _user_problems(user_id: object) -> Iterator[FieldError]:
    if user_id is None:
        return
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= MAX_USER_ID_CHARS:
        yield FieldError(f"user_id is text of 1 to {MAX_USER_ID_CHARS} characters", "/user_id")
    elif _LONE_SURROGATE.search(user_id):
        yield FieldError("user_id must be valid Unicode text, without lone surrogates", "/user_id")


def _keys_are_distinct(raw: bytes) -> bool:
    """Whether as many keys came as were kept; False also where a text or a space only looks like a key."""
    body: Any = msgspec.json.decode(raw)
    return not _spaced_colon(raw) and raw.count(b'":') == len(body) + sum(map(len, body["instances"]))
