"""The model pages: what serves, every version with its figures and gates, and two versions side by side."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from console.domain.tables import Table
from console.entrypoints import model_listings as listings
from console.entrypoints import pictures
from console.entrypoints.security import Viewer
from console.entrypoints.site import Query
from console.entrypoints.views import Views


async def show(views: Views, viewer: Viewer, query: Query) -> dict[str, Any]:
    """One model: what serves, every training with its figures, quality by version, who did what."""
    name = query["model"]
    served, runs, quality, log = await asyncio.gather(
        views.services.get("inference", f"/v1/models/{name}", viewer.key),
        views.services.get("trainer", f"/v1/models/{name}/runs", viewer.key),
        views.offered(f"/v1/models/{name}/quality", viewer),
        views.offered(f"/v1/models/{name}/audit-log", viewer),
    )
    live = quality["versions"] if quality else []
    return {
        "title": name,
        "name": name,
        "served": served,
        "running": runs["running"],
        "time_line": pictures.versions_chart(runs["runs"]),
        "measured": pictures.quality_chart(live, served),
        "beside": await _beside(views, viewer, served, live, query),
        "runs": listings.runs_table(runs["runs"], name),
        "versions": listings.served_table(served),
        "quality": listings.quality_table(live),
        "audit": None if log is None else listings.audit_table(log["entries"]),
        "done": query.get("done", ""),
    }


async def version(views: Views, viewer: Viewer, query: Query) -> dict[str, Any]:
    """One version: its gates with their figures, its metrics, what it learned from, what became of it."""
    name, number = query["model"], query["version"]
    found = await views.services.get("trainer", f"/v1/models/{name}/versions/{quote(number, safe='')}", viewer.key)
    return {
        "title": f"{name}, version {number}",
        "name": name,
        "found": found,
        "gates": listings.gates_table(found["gates"]),
        "metrics": listings.metrics_table(found["metrics"]),
        "history": listings.history_table(found["history"]),
    }


async def _beside(
    views: Views, viewer: Viewer, served: Mapping[str, Any], live: Sequence[Mapping[str, Any]], query: Query
) -> Table | None:
    """Champion and challenger; where no version is on trial, the champion and the version that `beside` names."""
    champion, other = served["champion"], query.get("beside") or served["challenger"]
    if champion is None or not other or other == champion:
        return None
    path = f"/v1/models/{served['name']}/versions/"
    found = await asyncio.gather(
        *(views.offered(path + quote(number, safe=""), viewer) for number in (champion, other))
    )
    if None in found:
        return None
    role = "challenger" if other == served["challenger"] else "version"
    return listings.side_by_side_table((found[0], found[1]), live, (f"champion {champion}", f"{role} {other}"))
