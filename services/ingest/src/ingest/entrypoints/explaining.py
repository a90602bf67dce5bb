"""What Pydantic found, said to a client: one sentence per field, with what was found and what is allowed."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

from pydantic import ValidationError

from flywheel_schemas.events import Feedback, FeedbackRequest
from http_api.problems import pointer
from ingest.domain.models import KnownModel, json_name
from ingest.domain.refusals import Violation

_FIELDS = tuple(FeedbackRequest.model_fields)
_FILLED_BY_SERVER = frozenset(Feedback.model_fields).difference(_FIELDS)
_EITHER = {
    "label": "label is text (at most 256 characters) or a finite number",
    "features": "a feature is text (at most 256 characters), a finite number, or null",
}
Path = tuple[str | int, ...]


def violations(
    error: ValidationError, body: object, model_of: Callable[[str], KnownModel | None]
) -> Sequence[Violation]:
    """One violation per field that is wrong in `body`, with the model's own words where the model is known."""
    by_path: dict[Path, list[Mapping[str, Any]]] = {}
    for each in error.errors(include_url=False):
        by_path.setdefault(_path(each, body), []).append(each)
    found = {pointer(path): _sentence(path, errors) for path, errors in by_path.items()}
    for violation in _of_model(body, model_of):
        found[violation.pointer] = violation.detail
    return [Violation(where, detail) for where, detail in found.items()]


def _of_model(body: object, model_of: Callable[[str], KnownModel | None]) -> list[Violation]:
    if not _is_object(body) or not isinstance(body.get("model"), str):
        return []
    model = model_of(body["model"])
    if model is None:
        return []
    found: list[Violation] = []
    if body.get("label") is not None:
        found += model.label_violations(body["label"])
    if _is_object(body.get("features")):
        found += model.feature_violations(body["features"])
    return found


def _path(error: Mapping[str, Any], body: object) -> Path:
    """Where in `body` the error is: its location without the parts that name a type instead of a place."""
    path: list[str | int] = []
    node = body
    for part in error["loc"]:
        if isinstance(node, dict) and part in node:
            node = node[part]
        elif not (error["type"] == "missing" and isinstance(node, dict)):
            break
        path.append(part)
    return tuple(path)


def _sentence(path: Path, errors: Sequence[Mapping[str, Any]]) -> str:
    first = errors[0]
    name = str(path[-1]) if path else "feedback"
    match first["type"]:
        case "extra_forbidden":
            return _unknown(name)
        case "missing":
            return f"{name} is missing; add it"
        case "value_error":
            return str(first["ctx"]["error"])
        case "model_type":
            return f"feedback is an object; this is {json_name(first['input'])}"
    if path and path[0] in _EITHER and not (path == ("features",) or first["loc"][-1] == "[key]"):
        return f"{_EITHER[str(path[0])]}; this is {_shown(first['input'])}"
    return f"{name}: {first['msg'][:1].lower()}{first['msg'][1:]}; this is {_shown(first['input'])}"


def _unknown(name: str) -> str:
    if name in _FILLED_BY_SERVER:
        return f"{name} is filled in by the server; leave it out"
    close = difflib.get_close_matches(name, _FIELDS, n=1)
    meant = f"did you mean {close[0]}?" if close else f"there are: {', '.join(_FIELDS)}"
    return f"there is no field {name[:64]}; {meant}"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value) if len(value) <= 64 else f"{value[:64]!r}… ({len(value):,} characters)"
    return json_name(value)


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)
