"""What an operator may do: each action has a page that says what it will do, and asks for a reason."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from console.application.ports import Away, NotAllowed, NotThere
from console.entrypoints import datasets
from console.entrypoints.dataset_listings import changes_table
from console.entrypoints.security import Viewer
from console.entrypoints.site import Query, Site, fields
from console.entrypoints.views import Views

Preview = Callable[[Views, Viewer, Query], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Action:
    """One action: where it is asked for and of the trainer, what it will do, and where it leads back to.

    `preview` finds out what exactly it would change of a dataset.
    """

    path: str
    asks: str
    title: str
    will: str
    fields: tuple[str, ...] = ()
    back: str = "/models/{model}"
    preview: Preview | None = None


ACTIONS = (
    Action("/models/{model}/retrain", "/v1/models/{model}/retrain", "Retrain {model}",
           "Trains a new version of {model} on all feedback so far. It serves if it passes the gates."),
    Action("/models/{model}/promote", "/v1/models/{model}/promote", "Promote version {version} of {model}",
           "Lets version {version} answer for {model}: at once and for all traffic, or step by step beside the present"
           " champion.", ("version", "strategy", "force")),
    Action("/models/{model}/rollback", "/v1/models/{model}/rollback", "Roll back {model}",
           "Takes a challenger back; where there is none, puts the previous champion of {model} back in its place. It"
           " answers all traffic within seconds."),
    Action("/models/{model}/pause", "/v1/models/{model}/pause", "Pause the rollout of {model}",
           "Holds the challenger at its present share of the traffic. Guardrails go on working.",
           back="/rollouts?model={model}"),
    Action("/models/{model}/resume", "/v1/models/{model}/resume", "Resume the rollout of {model}",
           "Lets a paused rollout go on.", back="/rollouts?model={model}"),
    Action("/datasets/{model}/rollback", "/v1/models/{model}/dataset/rollback",
           "Roll the dataset of {model} back to version {version}",
           "Makes version {version} the newest content of the dataset. Later versions stay readable; the next training"
           " uses what is newest.", ("version",), "/datasets?model={model}", datasets.preview),
    Action("/datasets/{model}/quarantine/{event_id}/release", "/v1/models/{model}/quarantine/{event_id}/release",
           "Release {event_id}", "Puts this event into the dataset of {model}; the next training may learn from it.",
           (), "/datasets?model={model}"),
    Action("/datasets/{model}/quarantine/{event_id}/drop", "/v1/models/{model}/quarantine/{event_id}/drop",
           "Drop {event_id}", "Drops this event for good; no training will learn from it.", (),
           "/datasets?model={model}"),
)  # fmt: skip


def install(app: FastAPI, site: Site, views: Views) -> None:
    """Add each action's page, and what carries it out."""
    for action in ACTIONS:
        _install(app, site, views, action)


def _install(app: FastAPI, site: Site, views: Views, action: Action) -> None:
    async def page(request: Request, viewer: Viewer, given: Query, refusal: str | None, status: int) -> Response:
        title = action.title.format_map(given)
        context = {**_context(action, given, refusal), "preview": None}
        try:
            if action.preview:
                found = await action.preview(views, viewer, given)
                context |= {"preview": found, "changes": changes_table(found).arranged(request.url.path, given)}
        except (NotThere, NotAllowed, Away) as trouble:
            context |= {"trouble": str(trouble)}
        return HTMLResponse(site.render("action.html", title, request, viewer, context), status)

    async def confirm(request: Request, viewer: Annotated[Viewer, Depends(site.viewer)]) -> Response:
        return await page(request, viewer, _given(request.query_params, request), None, 200)

    async def act(request: Request, viewer: Annotated[Viewer, Depends(site.operator)]) -> Response:
        given = _given(await fields(request), request)
        body = {name: given[name] for name in ("reason", *action.fields) if given[name]}
        try:
            await views.services.post("trainer", action.asks.format_map(given), body, viewer.key)
        except (NotThere, NotAllowed, Away) as refusal:
            return await page(request, viewer, given, str(refusal), 409)
        back = action.back.format_map(given)
        done = urlencode({"done": action.path.rpartition("/")[2]})
        return RedirectResponse(f"{back}{'&' if '?' in back else '?'}{done}", 303)

    app.get(action.path, response_class=HTMLResponse, include_in_schema=False)(confirm)
    app.post(action.path, response_class=HTMLResponse, include_in_schema=False)(act)


def _given(fields: Mapping[str, str], request: Request) -> Query:
    named = {name: fields.get(name, "").strip() for name in ("version", "strategy", "force", "reason")}
    return {**named, **{name: str(value) for name, value in request.path_params.items()}}


def _context(action: Action, given: Query, refusal: str | None) -> dict[str, Any]:
    return {
        "will": action.will.format_map(given),
        "given": given,
        "fields": action.fields,
        "refusal": refusal,
        "back": action.back.format_map(given),
    }
