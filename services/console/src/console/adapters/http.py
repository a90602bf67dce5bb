"""The other services over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from console.domain.overview import Readiness, ServedModel, Version


@dataclass(frozen=True, slots=True)
class HttpServices:
    """Readiness from each service's /readyz. `urls` maps a service to its base URL, in the order of the flow."""

    client: httpx.AsyncClient
    urls: Mapping[str, str]

    async def readiness(self) -> tuple[Readiness, ...]:
        """What each service says of itself; one that does not answer is unreachable."""
        return tuple(await asyncio.gather(*(self._ask(name, url) for name, url in self.urls.items())))

    async def _ask(self, service: str, url: str) -> Readiness:
        try:
            answer = await self.client.get(f"{url}/readyz")
            checks: dict[str, str | None] = answer.json()["checks"]
        except (httpx.HTTPError, ValueError, KeyError):
            return Readiness(service, reachable=False, problems={})
        problems = {name: what for name, what in checks.items() if what not in (None, "ok")}
        return Readiness(service, reachable=True, problems={name: str(what) for name, what in problems.items()})


@dataclass(frozen=True, slots=True)
class HttpModels:
    """Models by name from `names`, their versions from inference."""

    client: httpx.AsyncClient
    inference_url: str
    names: Callable[[], Awaitable[Sequence[str]]]
    api_key: str | None

    async def served(self) -> tuple[ServedModel, ...]:
        """Every model that inference answers for."""
        found = await asyncio.gather(*(self._ask(name) for name in await self.names()))
        return tuple(model for model in found if model is not None)

    async def _ask(self, name: str) -> ServedModel | None:
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        try:
            answer = await self.client.get(f"{self.inference_url}/v1/models/{name}", headers=headers)
            answer.raise_for_status()
            return _model(answer.json())
        except (httpx.HTTPError, ValueError, KeyError):
            return None


def _model(body: dict[str, Any]) -> ServedModel:
    versions = tuple(
        Version(entry["version"], entry["state"], float(entry["traffic_percent"]), bool(entry["loaded"]))
        for entry in body["versions"]
    )
    return ServedModel(body["name"], body["task"], body["champion"], versions)
