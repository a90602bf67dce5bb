"""Show what the loop does now."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console.application.ports import Away, Loop, NotAllowed, NotThere, Services
from console.domain.overview import Overview, ServedModel, Version, overview


@dataclass(frozen=True, slots=True)
class ShowOverview:
    """Asks inference for its models; how services and Kafka are is known already."""

    services: Services
    loop: Loop

    async def __call__(self, key: str | None) -> Overview:
        """The present overview; parts that do not answer appear as alerts."""
        services, models, lag = await asyncio.gather(self.loop.readiness(), self.models(key), self._lag())
        return overview(services, models, lag)

    async def models(self, key: str | None) -> tuple[ServedModel, ...]:
        """Every model that inference answers for; none while it does not answer."""
        try:
            body = await self.services.get("inference", "/v1/models", key)
        except (Away, NotThere, NotAllowed):
            return ()
        return tuple(_model(each) for each in body["models"])

    async def _lag(self) -> Mapping[str, int]:
        try:
            return await self.loop.lag()
        except Away:
            return {}


def _model(body: Mapping[str, Any]) -> ServedModel:
    versions = tuple(
        Version(entry["version"], entry["state"], float(entry["traffic_percent"]), bool(entry["loaded"]))
        for entry in body["versions"]
    )
    return ServedModel(body["name"], body["task"] or "", body["champion"], versions)
