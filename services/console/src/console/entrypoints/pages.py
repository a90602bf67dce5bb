"""The pages, rendered on the server; nothing is loaded from another host."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from console.application.show_overview import ShowOverview
from http_api.keys import ApiKeys
from http_api.problems import Problem, ProblemError

_HERE = Path(__file__).parent
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_STEPS = {
    "ingest": "takes feedback, answers once Kafka has it",
    "stream-processor": "stores each event once in the lake",
    "trainer": "trains, proves and registers",
    "inference": "serves and swaps without a pause",
}


def install(app: FastAPI, show_overview: ShowOverview, api_keys: ApiKeys) -> None:
    """Adds the pages, their style sheet and the headers that keep foreign content out.

    Where API keys are in use, a browser asks for one (any name, the key as password); it needs the role read.
    """
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=select_autoescape(), undefined=StrictUndefined
    )
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")

    @app.middleware("http")
    async def _protect(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        return response

    def reader(given: Annotated[HTTPBasicCredentials | None, Depends(HTTPBasic(auto_error=False))]) -> None:
        try:
            api_keys.authenticate_text(given.password if given else None).require("read")
        except ProblemError as error:
            raise ProblemError(_asking_for_a_key(error.problem)) from error

    @app.get("/", response_class=HTMLResponse, summary="Overview of the loop", dependencies=[Depends(reader)])
    async def overview_page() -> str:
        page = templates.get_template("overview.html")
        return page.render(overview=await show_overview(), steps=_STEPS)


def _asking_for_a_key(problem: Problem) -> Problem:
    """As `problem`, with the header that makes a browser ask."""
    if problem.status != HTTPStatus.UNAUTHORIZED:
        return problem
    detail = "Sign in with any name and an API key of the role read as password; `flywheel keys create` makes one."
    return replace(problem, detail=detail, headers={"WWW-Authenticate": 'Basic realm="flywheel"'})
