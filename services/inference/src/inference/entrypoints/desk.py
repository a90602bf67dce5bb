"""What every way of asking shares: who answers, who may ask, how much is taken on, and where the work is done."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from http_api.keys import ApiKeys, Principal
from http_api.problems import Problem, ProblemError
from inference.application.answer import AnswerQuestions
from inference.application.catalogue import Catalogue, NotServed, UnknownModel
from inference.application.ports import ModelRefused, SourceUnavailable
from inference.application.served import Lineup
from inference.application.shelf import OnDemand
from inference.entrypoints.admission import RETRY_AFTER, Admission, too_late

MAX_BODY_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Desk:
    """What answering needs. Bodies above `inline_bytes` (some hundred rows) are answered in `pool`.

    Those up to `at_once_bytes` (some ten rows) are answered in the turn in which they are read.
    """

    catalogue: Catalogue
    answer: AnswerQuestions
    keys: ApiKeys
    admission: Admission
    pool: ThreadPoolExecutor
    others: OnDemand
    inline_bytes: int = 64 * 1024
    at_once_bytes: int = 4 * 1024

    def lineup(self, model: str) -> Lineup:
        """Who answers. Raises ProblemError 404 or 503."""
        try:
            return self.catalogue.lineup(model)
        except UnknownModel as exc:
            raise ProblemError(unknown(model)) from exc
        except NotServed as exc:
            problem = Problem(503, "Service Unavailable", f"{exc}.", headers=RETRY_AFTER)
            raise ProblemError(problem) from exc

    async def chosen(self, model: str, version: str, who: Principal) -> Lineup:
        """The one version that is named: any that serves, and with the role operate any that there is.

        Raises ProblemError 403, 404 (no such version), 422 (it was refused) or 503.
        """
        lineup = self.lineup(model)
        for served in lineup.members:
            if served.version == version:
                return Lineup(served)
        who.require("operate")
        return await asyncio.get_running_loop().run_in_executor(self.pool, self._loaded, model, version)

    def _loaded(self, model: str, version: str) -> Lineup:
        try:
            return Lineup(self.others.get(model, version), serves=False)
        except ModelRefused as exc:
            status, title = (404, "Not Found") if exc.kind == "missing" else (422, "Unprocessable Content")
            raise ProblemError(Problem(status, title, f"Version {version} of {model} cannot be had: {exc}.")) from exc
        except SourceUnavailable as exc:
            problem = Problem(503, "Service Unavailable", f"{exc}.", headers=RETRY_AFTER)
            raise ProblemError(problem) from exc

    async def run(
        self, work: Callable[..., Any], *arguments: Any, size_bytes: int | None, deadline_s: float | None = None
    ) -> Any:
        """`work(*arguments)` on a body of that size, in the pool when it may take long (None: it will).

        Raises ProblemError 504 when `deadline_s` (by time.perf_counter) has passed: what has not begun never begins.
        """
        if size_bytes is not None and size_bytes <= self.inline_bytes:
            if size_bytes > self.at_once_bytes:
                # Whoever else has arrived gets to `Admission` before this one is worked on.
                await asyncio.sleep(0)
            if deadline_s is not None and time.perf_counter() >= deadline_s:
                raise ProblemError(too_late())
            return work(*arguments)
        begun = asyncio.get_running_loop().run_in_executor(self.pool, work, *arguments)
        try:
            return await asyncio.wait_for(begun, None if deadline_s is None else deadline_s - time.perf_counter())
        except TimeoutError as exc:
            raise ProblemError(too_late()) from exc


def unknown(model: str) -> Problem:
    """No such model."""
    return Problem(404, "Not Found", f"There is no model named {model!r}; GET /v1/models lists those that there are.")
