"""The dataset pages: what a model learns from, how it changed, the way back, and what people had erased."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from console.application.ports import NotThere
from console.entrypoints import dataset_listings as listings
from console.entrypoints import pictures
from console.entrypoints.security import Viewer
from console.entrypoints.site import Query
from console.entrypoints.views import Views

_MOST_VERSIONS = 500


async def show(views: Views, viewer: Viewer, query: Query) -> dict[str, Any]:
    """One model's dataset: versions, rows by day, source and label, what is kept apart, and every erasure."""
    names = await views.names(viewer)
    name = query.get("model") or next(iter(names), "")
    if not name:
        return {"names": names, "name": ""}
    versions, summary, held, erasures = await asyncio.gather(
        asyncio.to_thread(views.tables.versions, name, _MOST_VERSIONS),
        asyncio.to_thread(views.tables.summary, name),
        views.offered(f"/v1/models/{name}/quarantine?limit=200", viewer),
        _erasures(views, viewer),
    )
    return {
        "names": names,
        "name": name,
        "versions": listings.versions_table(versions, name),
        "summary": listings.summary_table(summary),
        "growth": pictures.growth_chart(versions),
        "quarantine": None if held is None else listings.quarantine_table(held, name),
        "erasures": listings.erasures_table(erasures),
    }


async def diff(views: Views, viewer: Viewer, query: Query) -> dict[str, Any]:
    """What leads from version `from` to version `to` of a dataset."""
    name, first, last = query["model"], query.get("from", ""), query.get("to", "")
    found = await _diff(views, viewer, name, first, last)
    return {
        "title": f"Dataset of {name}, version {first} to {last}",
        "name": name,
        "diff": found,
        "changes": listings.changes_table(found),
    }


async def preview(views: Views, viewer: Viewer, given: Query) -> Mapping[str, Any]:
    """What a rollback of a dataset to `version` would change, for the page that asks whether to do it."""
    newest = await asyncio.to_thread(views.tables.versions, given["model"], 1)
    if not newest:
        raise NotThere(f"{given['model']} has no dataset yet.")
    return await _diff(views, viewer, given["model"], str(newest[0]["version"]), given["version"])


async def erasure(views: Views, viewer: Viewer, query: Query) -> dict[str, Any]:
    """The audit record of one erasure."""
    for each in await _erasures(views, viewer):
        if each["erasure_id"] == query["erasure_id"]:
            return {"erasure": each, "erased": listings.erased_table(each)}
    raise NotThere("There is no such erasure.")


async def _erasures(views: Views, viewer: Viewer) -> Sequence[Mapping[str, Any]]:
    found = await views.offered("/v1/erasures", viewer)
    return [] if found is None else list(found["erasures"])


async def _diff(views: Views, viewer: Viewer, name: str, first: str, last: str) -> Mapping[str, Any]:
    if not (first.isdecimal() and last.isdecimal()):
        raise NotThere("A version of a dataset is a number.")
    path = f"/v1/models/{quote(name, safe='')}/dataset/diff?from={first}&to={last}"
    found: Mapping[str, Any] = await views.services.get("trainer", path, viewer.key)
    return found
