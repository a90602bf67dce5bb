"""The pages, rendered on the server; nothing is loaded from another host."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from console.application.show_overview import ShowOverview

_HERE = Path(__file__).parent
CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
_STEPS = {
    "ingest": "takes feedback, answers once Kafka has it",
    "stream-processor": "stores each event once in the lake",
    "trainer": "trains, proves and registers",
    "inference": "serves and swaps without a pause",
}


def install(app: FastAPI, show_overview: ShowOverview) -> None:
    """Adds the pages, their style sheet and the headers that keep foreign content out."""
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

    @app.get("/", response_class=HTMLResponse, summary="Overview of the loop")
    async def overview_page() -> str:
        page = templates.get_template("overview.html")
        return page.render(overview=await show_overview(), steps=_STEPS)
