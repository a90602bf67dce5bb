"""JSON as RFC 8259 means it, with errors that say where: the careful reader behind every fast one.

The standard library's parser lets NaN, numbers beyond a float, and repeated keys pass; a body that
two readers understand differently must not come in.
"""

import json
import math
import re
from typing import NoReturn

from http_api.problems import FieldError, Problem, ProblemError, pointer

MAX_DEPTH = 32
MAX_DIGITS = 400
# Strings as units (an unclosed one runs to the end, so no text makes this quadratic), then brackets.
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)


class _Pairs(list[tuple[str, object]]):
    """An object as read, before its keys are known to be distinct."""


def parse_strict(raw: bytes) -> object:
    """The value in `raw`.

    Raises ProblemError 400 that names line and column for broken JSON, invalid UTF-8, NaN, Infinity,
    numbers that no float holds, nesting deeper than MAX_DEPTH, and names key and pointer for a repeated key.
    """
    text = _decode(raw)
    if not text.strip(" \t\r\n"):
        _refuse("The body is empty; send JSON.")
    _check_depth(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        _refuse_at(text, error.pos, error.msg)
    except _NumberError as error:
        position = max(_find_number(text, error.literal), 0)
        _refuse_at(text, position, str(error))
    return _distinct(value, ())


class _NumberError(ValueError):
    def __init__(self, literal: str, why: str) -> None:
        super().__init__(why)
        self.literal = literal


def _no_constant(literal: str) -> NoReturn:
    raise _NumberError(literal, f"{literal} is not JSON; leave the field out, or send null, where there is no number")


def _finite(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise _NumberError(literal, "the number is beyond what a 64-bit float holds")
    return value


def _bounded_int(literal: str) -> int:
    if len(literal) > MAX_DIGITS:
        raise _NumberError(literal, f"the number has {len(literal)} digits; at most {MAX_DIGITS} are read")
    return int(literal)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_constant=_no_constant, parse_float=_finite, parse_int=_bounded_int
)


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        line, column = _line_and_column(before, len(before))
        _refuse(f"The body is not valid UTF-8: byte 0x{raw[error.start]:02x} at line {line}, column {column}.")


def _check_depth(text: str) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(text):
        sign = match[0][0]
        if sign in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                _refuse_at(text, match.start(), f"nested deeper than {MAX_DEPTH} levels")
        elif sign in "]}":
            depth -= 1


def _find_number(text: str, literal: str) -> int:
    for match in re.finditer(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[^\s"\[\]{},:]+', text, re.DOTALL):
        if match[0] == literal:
            return match.start()
    return -1


def _distinct(value: object, path: tuple[str | int, ...]) -> object:
    if isinstance(value, _Pairs):
        made: dict[str, object] = {}
        for key, member in value:
            if key in made:
                where = pointer((*path, key))
                _refuse(f"The key {key!r} stands twice in one object; keep one.", FieldError("repeated key", where))
            made[key] = _distinct(member, (*path, key))
        return made
    if isinstance(value, list):
        return [_distinct(member, (*path, index)) for index, member in enumerate(value)]
    return value


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    """Both counted from 1."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _refuse_at(text: str, position: int, why: str) -> NoReturn:
    line, column = _line_and_column(text, position)
    _refuse(f"The body is not valid JSON at line {line}, column {column}: {why}.")


def _refuse(detail: str, *errors: FieldError) -> NoReturn:
    # What a client sent may hold what UTF-8 cannot: it comes back escaped.
    safe = detail.encode("utf-8", "backslashreplace").decode()
    raise ProblemError(Problem(400, "Bad Request", safe, errors))
