"""What the feedback component asks of ingest, passed on under the viewer's own key: no key stands in a page."""

from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, Request, Response

from console.entrypoints.security import Viewer
from console.entrypoints.site import Site
from http_api import body
from http_api.problems import Problem, ProblemError

_MOST_BYTES = 64 * 1024
_KEPT = ("content-type", "cache-control", "retry-after")


def install(app: FastAPI, site: Site, client: httpx.AsyncClient, ingest_url: str) -> None:
    """Add the four addresses that the component uses."""

    async def passed_on(request: Request, viewer: Annotated[Viewer, Depends(site.viewer)]) -> Response:
        headers = {"Authorization": f"Bearer {viewer.key}"} if viewer.key else {}
        content = None
        if request.method == "POST":
            body.require_json(request)
            content = await body.read(request, _MOST_BYTES)
            headers["Content-Type"] = body.JSON
        try:
            answer = await client.request(
                request.method, f"{ingest_url}{request.url.path}", content=content, headers=headers
            )
        except httpx.HTTPError as error:
            detail = "Ingest does not answer; the feedback is sent again."
            raise ProblemError(Problem(503, "Service Unavailable", detail, headers={"Retry-After": "2"})) from error
        kept = {name: value for name, value in answer.headers.items() if name in _KEPT}
        return Response(answer.content, answer.status_code, kept)

    for path, method in (
        ("/v1/feedback", "POST"),
        ("/v1/feedback/{event_id}", "GET"),
        ("/v1/models/{model}/label", "GET"),
        ("/assets/feedback/v1/{file}", "GET"),
    ):
        app.add_api_route(path, passed_on, methods=[method], include_in_schema=False)
