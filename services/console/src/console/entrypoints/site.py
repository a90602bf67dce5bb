"""How a page is served: whole, as a live stream of its changing part, and its tables as CSV."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from sse_starlette import EventSourceResponse

from console.application.ports import Away, NotAllowed, NotThere
from console.domain.charts import HEIGHT, WIDTH, number
from console.domain.tables import Table
from console.entrypoints import security
from console.entrypoints.security import Viewer
from http_api import body
from http_api.keys import ApiKeys

_HERE = Path(__file__).parent
_LIVE_EVERY_S, _PATIENCE_S = 2.0, 0.3
_MOST_FORM_BYTES = 256 * 1024
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
Query = Mapping[str, str]
Load = Callable[[Viewer, Query], Awaitable[dict[str, Any]]]
NAVIGATION = (
    ("/", "Overview"),
    ("/try", "Try it"),
    ("/models", "Models"),
    ("/rollouts", "Rollouts"),
    ("/datasets", "Datasets"),
    ("/feedback", "Feedback"),
    ("/drift", "Drift"),
    ("/alerts", "Alerts"),
)


class Site:
    """The pages of one console. `page` adds one; what its `load` raises is shown in place of the content.

    Who opens a page whose content takes long sees at once that it is looked for, and then what was found.
    """

    def __init__(self, app: FastAPI, api_keys: ApiKeys) -> None:
        self._app = app
        self._looking: set[asyncio.Task[Any]] = set()
        self.viewer = security.viewer_of(api_keys)
        self.operator = security.operator_of(api_keys)
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"moment": _moment, "number": number, "state_class": _state_class}
        self._templates.globals |= {
            "trouble": None,
            "asset": self._add_assets(),
            "navigation": NAVIGATION,
            "chart_width": WIDTH,
            "chart_height": HEIGHT,
        }
        security.install(app, api_keys)

    def page(self, path: str, title: str, template: str, load: Load, every_s: float = _LIVE_EVERY_S) -> None:
        """Serve `template` at `path`, and what changes of it, looked at `every_s`, as a stream at /live`path`."""

        async def whole(request: Request, viewer: Annotated[Viewer, Depends(self.viewer)]) -> Response:
            query = _query(request)
            looking = asyncio.create_task(self._context(viewer, query, request.url.path, load))
            await asyncio.wait({looking}, timeout=_PATIENCE_S if _opens_page(request) else None)
            if not looking.done():
                self._looking.add(looking)
                looking.add_done_callback(self._looking.discard)
                return HTMLResponse(self.render("looking.html", title, request, viewer, {}))
            context, status = looking.result()
            if (name := query.get("csv")) and isinstance(table := context.get(name), Table):
                return _csv(table)
            return HTMLResponse(self.render(template, title, request, viewer, context), status)

        async def live(request: Request, viewer: Annotated[Viewer, Depends(self.viewer)]) -> Response:
            shown = request.url.path.removeprefix("/live") or "/"

            async def changes() -> AsyncIterator[dict[str, str]]:
                last = None
                while True:
                    context, _ = await self._context(viewer, _query(request), shown, load)
                    text = self._templates.get_template(template).render(
                        layout="fragment.html", viewer=viewer, **context
                    )
                    if text != last:
                        last = text
                        yield {"data": text}
                    await asyncio.sleep(every_s)

            return EventSourceResponse(changes(), ping=15)

        self._app.get(path, response_class=HTMLResponse, summary=title)(whole)
        self._app.get(f"/live{'' if path == '/' else path}", include_in_schema=False)(live)

    def render(self, template: str, title: str, request: Request, viewer: Viewer, context: Mapping[str, Any]) -> str:
        """The whole page."""
        path = request.url.path
        live = f"/live{'' if path == '/' else quote(path)}?{request.url.query}"
        return self._templates.get_template(template).render(
            layout="page.html", **{"title": title, **context}, path=path, live=live, viewer=viewer
        )

    async def _context(self, viewer: Viewer, query: Query, path: str, load: Load) -> tuple[dict[str, Any], int]:
        try:
            context = await load(viewer, query)
        except NotThere as error:
            return {"trouble": str(error), "query": query}, 404
        except NotAllowed as error:
            return {"trouble": str(error), "query": query}, 403
        except Away as error:
            return {"trouble": str(error), "query": query}, 503
        arranged = {name: v.arranged(path, query) if isinstance(v, Table) else v for name, v in context.items()}
        return {"query": query, **arranged}, 200

    def _add_assets(self) -> Mapping[str, Mapping[str, str]]:
        """Each static file at an address that changes with its content, with its integrity."""
        found: dict[str, Mapping[str, str]] = {}
        for file in sorted((_HERE / "static").iterdir()):
            content = file.read_bytes()
            address = f"/static/{hashlib.sha256(content).hexdigest()[:12]}/{file.name}"
            integrity = f"sha384-{base64.b64encode(hashlib.sha384(content).digest()).decode()}"
            found[file.name] = {"url": address, "integrity": integrity}
            self._app.get(address, include_in_schema=False)(_static(content, file.suffix))
        return found


async def fields(request: Request) -> dict[str, str]:
    """What a form sent, as browsers encode it unless told otherwise."""
    raw = await body.read(request, _MOST_FORM_BYTES)
    return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))


def _static(content: bytes, suffix: str) -> Callable[[], Awaitable[Response]]:
    kind = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}.get(suffix, "text/plain")

    async def static() -> Response:
        return Response(content, media_type=kind, headers=_FOR_EVER)

    return static


def _query(request: Request) -> dict[str, str]:
    return {**request.query_params, **{name: str(value) for name, value in request.path_params.items()}}


def _opens_page(request: Request) -> bool:
    """Whether a browser goes to the page: it asks for HTML, where scripts and other programs take what there is."""
    return "text/html" in request.headers.get("accept", "") and "csv" not in request.query_params


def _csv(table: Table) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{table.name}.csv"'}
    return Response(table.csv(), media_type="text/csv; charset=utf-8", headers=headers)


def _state_class(value: str) -> str:
    """The style of a state; none for what is no state's name, since people may write what they like there."""
    name = value.replace("_", "-").replace(" ", "-")
    return name if re.fullmatch("[a-z-]{1,30}", name) else ""


def _moment(value: object) -> Markup:
    """A time that the browser shows in its own zone; in UTC without script. What is no time is shown as it is."""
    if not value:
        return Markup("&ndash;")
    at = value if isinstance(value, datetime) else _parsed(str(value))
    if at is None:
        return Markup("<bdi>{}</bdi>").format(value)
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), at.strftime("%Y-%m-%d %H:%M:%S UTC"))


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
