"""What the pages show: each function asks the ports and gives a page's context."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from console.application.ports import Loop, Meter, NotThere, Recorded, Services, Tables, Topics
from console.application.show_overview import ShowOverview
from console.domain import lineage
from console.entrypoints import listings, pictures
from console.entrypoints.security import Viewer
from console.entrypoints.site import Query


@dataclass(frozen=True, slots=True)
class Views:
    """The contexts of the pages."""

    services: Services
    topics: Topics
    tables: Tables
    meter: Meter
    loop: Loop

    async def overview(self, viewer: Viewer, _: Query) -> dict[str, Any]:
        """The loop, its rates and lag, what serves and what is wrong."""
        shown = await ShowOverview(self.services, self.loop)(viewer.key)
        return {
            "overview": shown,
            "rates": pictures.rates_chart(self.meter),
            "models": listings.models_table(shown.models),
        }

    async def models(self, viewer: Viewer, _: Query) -> dict[str, Any]:
        """Every model's versions."""
        return {"models": listings.models_table(await ShowOverview(self.services, self.loop).models(viewer.key))}

    async def rollouts(self, viewer: Viewer, query: Query) -> dict[str, Any]:
        """The rollout of one model: its evidence over time, its limits, the decision and why not yet."""
        names = await self.names(viewer)
        name = query.get("model") or next(iter(names), "")
        rollout = await self.offered(f"/v1/models/{name}/rollout", viewer) if name else None
        return {"names": names, "name": name, "rollout": rollout, "evidence": pictures.evidence_chart(rollout)}

    async def feedback(self, _: Viewer, __: Query) -> dict[str, Any]:
        """The latest feedback, newest first."""
        records = await asyncio.to_thread(self.topics.recent_feedback)
        return {"stream": listings.stream_table(records)}

    async def event(self, viewer: Viewer, query: Query) -> dict[str, Any]:
        """One event: its whole way, and what was said."""
        event_id = query["event_id"]
        status, records = await asyncio.gather(
            self.services.get("ingest", f"/v1/feedback/{event_id}", viewer.key),
            asyncio.to_thread(self.topics.recent_feedback),
        )
        said = next((listings.parsed(record) for record in records if record.key == event_id), None)
        return {"event_id": event_id, "status": status, "steps": lineage.steps(status, said), "said": said}

    async def drift(self, viewer: Viewer, query: Query) -> dict[str, Any]:
        """Feature and score distributions, then and now, and their PSI over time."""
        names = await self.names(viewer)
        name = query.get("model") or next(iter(names), "")
        found, history = None, None
        if name:
            found, history = await asyncio.gather(
                self.offered(f"/v1/models/{name}/drift", viewer),
                self.offered(f"/v1/models/{name}/drift/history", viewer),
            )
        samples = history["samples"] if history else []
        shown = {"names": names, "name": name, "drift": found, "psi": pictures.psi_chart(samples)}
        return {**shown, "columns": listings.drift_table(found, samples)}

    async def alerts(self, viewer: Viewer, query: Query) -> dict[str, Any]:
        """What is wrong now, and what could not be processed."""
        overview, letters = await asyncio.gather(
            ShowOverview(self.services, self.loop)(viewer.key), asyncio.to_thread(self.topics.dead_letters)
        )
        return {"alerts": overview.alerts, "letters": listings.letters_table(letters), "done": query.get("done", "")}

    async def letter(self, _: Viewer, query: Query) -> dict[str, Any]:
        """One dead letter, to look into and to mend."""
        return {"letter": await self.find_letter(query), "refusal": None}

    async def find_letter(self, query: Query) -> Recorded:
        """The letter at `partition` and `offset`. Raises NotThere."""
        letters = await asyncio.to_thread(self.topics.dead_letters)
        for letter in letters:
            if (str(letter.partition), str(letter.offset)) == (query["partition"], query["offset"]):
                return letter
        raise NotThere("There is no such dead letter among the latest.")

    async def names(self, viewer: Viewer) -> Sequence[str]:
        """Every model, sorted."""
        return sorted(model.name for model in await ShowOverview(self.services, self.loop).models(viewer.key))

    async def offered(self, path: str, viewer: Viewer) -> Any:
        """What the trainer has at `path`; None where it has nothing there."""
        try:
            return await self.services.get("trainer", path, viewer.key)
        except NotThere:
            return None
