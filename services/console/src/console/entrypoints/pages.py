"""Every address of the console."""

import asyncio
from functools import partial
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from console.application.ports import Away, NotAllowed
from console.entrypoints import actions, datasets, erasing, models, passing_on, try_it
from console.entrypoints.security import Viewer
from console.entrypoints.site import Site, fields
from console.entrypoints.views import Views
from http_api.keys import ApiKeys

# What is read from the lake's tables is looked at less often.
_SLOWLY_S, _SELDOM_S = 5.0, 60.0


def install(app: FastAPI, views: Views, api_keys: ApiKeys, client: httpx.AsyncClient, ingest_url: str) -> None:
    """Add the pages, the actions and what the feedback component needs."""
    site = Site(app, api_keys)
    site.page("/", "Overview", "overview.html", views.overview)
    site.page("/models", "Models", "models.html", views.models)
    site.page("/models/{model}", "Model", "model.html", partial(models.show, views), _SLOWLY_S)
    site.page(
        "/models/{model}/versions/{version}", "Version", "version.html", partial(models.version, views), _SLOWLY_S
    )
    site.page("/rollouts", "Rollouts", "rollouts.html", views.rollouts)
    site.page("/datasets", "Datasets", "datasets.html", partial(datasets.show, views), _SLOWLY_S)
    site.page("/datasets/{model}/diff", "What differs", "diff.html", partial(datasets.diff, views), _SELDOM_S)
    site.page("/feedback", "Feedback", "feedback.html", views.feedback)
    site.page("/feedback/{event_id}", "Lineage of one piece of feedback", "event.html", views.event)
    site.page("/drift", "Drift", "drift.html", views.drift, _SELDOM_S)
    site.page("/alerts", "Alerts", "alerts.html", views.alerts)
    site.page("/alerts/letters/{partition}/{offset}", "Dead letter", "letter.html", views.letter)
    site.page("/try", "Try it", "try.html", partial(try_it.form, views))
    _install_answers(app, site, views)
    erasing.install(app, site, views)
    site.page("/erasures/{erasure_id}", "Erasure", "erasure.html", partial(datasets.erasure, views))
    _install_replay(app, site, views)
    actions.install(app, site, views)
    passing_on.install(app, site, client, ingest_url)


def _install_answers(app: FastAPI, site: Site, views: Views) -> None:
    @app.post("/try", response_class=HTMLResponse, include_in_schema=False)
    async def answer(request: Request, viewer: Annotated[Viewer, Depends(site.viewer)]) -> Response:
        given = await fields(request)
        try:
            context = {"query": given, **await try_it.ask(views, viewer, given)}
        except Away as away:
            return HTMLResponse(site.render("try.html", "Try it", request, viewer, {"trouble": str(away)}), 503)
        return HTMLResponse(
            site.render("try.html", "Try it", request, viewer, context), 422 if context["refusal"] else 200
        )

    @app.get("/feedback/{event_id}/lineage", response_class=HTMLResponse, include_in_schema=False)
    async def lineage(event_id: str, request: Request, viewer: Annotated[Viewer, Depends(site.viewer)]) -> Response:
        """A live region with one event's way, to be put into another page."""
        return HTMLResponse(site.render("lineage_region.html", "", request, viewer, {"event_id": event_id}))


def _install_replay(app: FastAPI, site: Site, views: Views) -> None:
    @app.post("/alerts/letters/{partition}/{offset}", response_class=HTMLResponse, include_in_schema=False)
    async def replay(
        partition: str, offset: str, request: Request, viewer: Annotated[Viewer, Depends(site.operator)]
    ) -> Response:
        letter = await views.find_letter({"partition": partition, "offset": offset})
        value = (await fields(request)).get("value", "").encode()
        try:
            await asyncio.to_thread(views.topics.replay, letter, value, viewer.name)
        except (NotAllowed, Away) as refusal:
            context = {"letter": letter, "refusal": str(refusal)}
            return HTMLResponse(site.render("letter.html", "Dead letter", request, viewer, context), 409)
        return RedirectResponse(f"/feedback/{letter.key}", 303)

    @app.post("/alerts/replay", include_in_schema=False)
    async def replay_all(viewer: Annotated[Viewer, Depends(site.operator)]) -> Response:
        """Send every letter again as it is; those that are no event stay as they are, and are counted."""
        sent = refused = 0
        for letter in await asyncio.to_thread(views.topics.dead_letters):
            try:
                await asyncio.to_thread(views.topics.replay, letter, letter.value, viewer.name)
                sent += 1
            except NotAllowed:
                refused += 1
        return RedirectResponse(f"/alerts?done={sent}-{refused}", 303)
