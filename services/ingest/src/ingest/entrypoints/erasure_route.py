"""DELETE /v1/users/{user_id}/feedback: a person wants everything erased that they ever said here."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import Depends, FastAPI, Path
from pydantic import BaseModel, Field

from flywheel_schemas.events import MAX_TEXT_CHARS
from http_api import keys, problems
from http_api.problems import Problem, ProblemError
from ingest.application.erasing import Erasing
from ingest.application.ports import SourceAway
from ingest.entrypoints import statuses

PATH = "/v1/users/{user_id:path}/feedback"
UserId = Annotated[str, Path(min_length=1, max_length=MAX_TEXT_CHARS, description="As in user_id of the feedback")]
Operator = Annotated[keys.Principal, Depends(keys.require("operate"))]


class ErasureBody(BaseModel):
    """The erasure has begun."""

    erasure_id: str = Field(description="GET /v1/erasures of the trainer shows how far it is; it names no user")
    erased_before: datetime = Field(description="What was received up to then counts no more; what comes later does")


def install(app: FastAPI, erase: Callable[[str, str], Erasing]) -> None:
    """Add the route to `app`."""
    away = statuses.problem_of(SourceAway())
    refused = Problem(403, "Forbidden", "This key lacks the role operate.")

    @app.delete(PATH, status_code=202, responses=problems.describe(away, refused))
    async def erase_feedback(user_id: UserId, who: Operator) -> ErasureBody:
        """Erase a user's feedback of all models: at once for every reader and training, then from the tables, and after
        the retention from their files. Answers when the wish is kept; asking again is safe."""
        try:
            begun = await asyncio.to_thread(erase, user_id, who.key_id or "anonymous")
        except SourceAway as failure:
            raise ProblemError(statuses.problem_of(failure)) from failure
        return ErasureBody(erasure_id=begun.erasure_id, erased_before=begun.erased_before)
