"""Erasing what a user ever said: the page that asks, and what carries it out."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from console.application.ports import Away, NotAllowed, NotThere
from console.entrypoints.security import Viewer
from console.entrypoints.site import Site, fields
from console.entrypoints.views import Views

TITLE = "Erase the feedback of a user"


def install(app: FastAPI, site: Site, views: Views) -> None:
    """Add both. The user's name travels in the form's body, so it stands in no address and no log of ours."""

    def page(request: Request, viewer: Viewer, user: str, refusal: str | None) -> str:
        context = {"user": user, "refusal": refusal}
        return site.render("erase.html", TITLE, request, viewer, context)

    @app.get("/erasures/new", response_class=HTMLResponse, include_in_schema=False)
    async def ask(request: Request, viewer: Annotated[Viewer, Depends(site.viewer)]) -> Response:
        return HTMLResponse(page(request, viewer, "", None))

    @app.post("/erasures/new", response_class=HTMLResponse, include_in_schema=False)
    async def erase(request: Request, viewer: Annotated[Viewer, Depends(site.operator)]) -> Response:
        given = await fields(request)
        user = given.get("user_id", "").strip()
        if not user or user != given.get("again", "").strip():
            return HTMLResponse(page(request, viewer, user, "Write the same user id twice."), 422)
        try:
            path = f"/v1/users/{quote(user, safe='')}/feedback"
            begun = await views.services.delete("ingest", path, viewer.key)
        except (NotThere, NotAllowed, Away) as refusal:
            return HTMLResponse(page(request, viewer, user, str(refusal)), 409)
        return RedirectResponse(f"/erasures/{begun['erasure_id']}", 303)
