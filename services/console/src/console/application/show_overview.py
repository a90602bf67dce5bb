"""Show what the loop does now."""

import asyncio
from dataclasses import dataclass

from console.application.ports import Models, Services
from console.domain.overview import Overview, overview


@dataclass(frozen=True, slots=True)
class ShowOverview:
    """Asks services and models at the same time."""

    services: Services
    models: Models

    async def __call__(self) -> Overview:
        """The present overview; parts that do not answer appear as alerts."""
        services, models = await asyncio.gather(self.services.readiness(), self.models.served())
        return overview(services, models)
