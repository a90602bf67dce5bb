"""What the routes of the admin API share: who asks, for which model, and the problems that they answer with."""

from typing import Annotated

from fastapi import Depends, Path

from flywheel_schemas.events import MODEL_NAME_PATTERN
from http_api import keys, problems
from http_api.problems import Problem
from trainer.entrypoints.errors import STATUS

Name = Annotated[str, Path(pattern=MODEL_NAME_PATTERN, max_length=63)]
Operator = Annotated[keys.Principal, Depends(keys.require("operate"))]
Reader = Annotated[keys.Principal, Depends(keys.require("read"))]
_TITLES = dict(reversed(STATUS.values()))


def name(who: keys.Principal) -> str:
    """Who asks, as the audit log has it."""
    return who.key_id or "anonymous"


def problems_of(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The OpenAPI descriptions of these answers."""
    return problems.describe(*(Problem(status, _TITLES[status], "…") for status in statuses))
