"""The other services over HTTP."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from console.application.ports import Away, NotAllowed, NotThere
from console.domain.overview import Readiness


@dataclass(frozen=True, slots=True)
class HttpServices:
    """`urls` maps a service to its base URL, in the order of the flow."""

    client: httpx.AsyncClient
    urls: Mapping[str, str]

    async def readiness(self) -> tuple[Readiness, ...]:
        """What each service says of itself; one that does not answer is unreachable."""
        return tuple(await asyncio.gather(*(self._ready(name, url) for name, url in self.urls.items())))

    async def get(self, service: str, path: str, key: str | None) -> Any:
        """The JSON at `path`. Raises NotThere, NotAllowed or Away."""
        return await self._ask("GET", service, path, key, None)

    async def post(self, service: str, path: str, body: Mapping[str, Any], key: str | None) -> Any:
        """What the service answers. Raises NotThere, NotAllowed or Away."""
        return await self._ask("POST", service, path, key, body)

    async def delete(self, service: str, path: str, key: str | None) -> Any:
        """What the service answers. Raises NotThere, NotAllowed or Away."""
        return await self._ask("DELETE", service, path, key, None)

    async def _ask(self, method: str, service: str, path: str, key: str | None, body: Mapping[str, Any] | None) -> Any:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            answer = await self.client.request(method, f"{self.urls[service]}{path}", headers=headers, json=body)
            told = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Away(f"{service} does not answer") from error
        if answer.is_success:
            return told
        detail = told.get("detail", answer.reason_phrase) if isinstance(told, dict) else answer.reason_phrase
        if answer.status_code in {404, 410}:
            raise NotThere(detail)
        if answer.status_code >= 500:
            raise Away(f"{service}: {detail}")
        fields = "; ".join(str(each.get("detail", "")) for each in told.get("errors", ()))
        raise NotAllowed(f"{detail} {fields}".strip())

    async def _ready(self, service: str, url: str) -> Readiness:
        try:
            answer = await self.client.get(f"{url}/readyz")
            checks: dict[str, str | None] = answer.json()["checks"]
        except (httpx.HTTPError, ValueError, KeyError):
            return Readiness(service, reachable=False, problems={})
        problems = {name: what for name, what in checks.items() if what not in (None, "ok")}
        return Readiness(service, reachable=True, problems={name: str(what) for name, what in problems.items()})
