"""MLflow's REST API: requests, retries, and its errors as ours."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from registry.errors import RegistryError, RegistryUnavailable
from registry.settings import RegistrySettings

API = "/api/2.0/mlflow"
_RETRY_STATUS = frozenset({429, 502, 503, 504})
PAGE_SIZE = 200


class NotFound(RegistryError):
    """MLflow's RESOURCE_DOES_NOT_EXIST; callers turn it into what exactly was not found."""


class AlreadyExists(RegistryError):
    """MLflow's RESOURCE_ALREADY_EXISTS."""


class MlflowRest:
    """One connection pool to one MLflow server. Safe to use from several threads.

    Requests that MLflow may repeat without harm are tried `attempts` times, within seconds: callers
    that can wait longer back off themselves on RegistryUnavailable.
    """

    def __init__(
        self,
        settings: RegistrySettings,
        *,
        timeout_s: float = 10.0,
        attempts: int = 3,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base = settings.mlflow_tracking_uri
        self._attempts = attempts
        self._sleep = sleep
        token, password = settings.mlflow_tracking_token, settings.mlflow_tracking_password
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
        user = settings.mlflow_tracking_username
        auth = httpx.BasicAuth(user, password.get_secret_value()) if user and password else None
        self._http = httpx.Client(base_url=self._base, timeout=timeout_s, headers=headers, auth=auth, trust_env=False)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def ping(self) -> None:
        """Raises RegistryUnavailable when the server does not answer its health check."""
        self._answer(lambda: self._http.get("/health", timeout=2.0), attempts=1)

    def get(self, path: str, **params: str | int) -> dict[str, Any]:
        """The JSON reply to GET `path`. Raises NotFound, RegistryUnavailable, RegistryError."""
        reply = self._answer(lambda: self._http.get(f"{API}/{path}", params=params), self._attempts)
        return dict(reply.json())

    def post(self, path: str, body: dict[str, Any], *, repeatable: bool = True) -> dict[str, Any]:
        """The JSON reply to POST `path`; `repeatable` False where a second request would make a second thing."""
        attempts = self._attempts if repeatable else 1
        reply = self._answer(lambda: self._http.post(f"{API}/{path}", json=body), attempts)
        return dict(reply.json() or {})

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON reply to PATCH `path`."""
        reply = self._answer(lambda: self._http.patch(f"{API}/{path}", json=body), self._attempts)
        return dict(reply.json() or {})

    def delete(self, path: str, body: dict[str, Any]) -> None:
        """DELETE `path`; repeating it does no harm."""
        self._answer(lambda: self._http.request("DELETE", f"{API}/{path}", json=body), self._attempts)

    def pages(self, path: str, key: str, **params: str) -> Iterator[dict[str, Any]]:
        """Every item under `key` of a paged GET."""
        query: dict[str, str | int] = {**params, "max_results": PAGE_SIZE}
        while True:
            reply = self.get(path, **query)
            yield from reply.get(key, [])
            if not reply.get("next_page_token"):
                return
            query["page_token"] = reply["next_page_token"]

    def post_pages(self, path: str, key: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Every item under `key` of a paged POST search."""
        query = {**body, "max_results": PAGE_SIZE}
        while True:
            reply = self.post(path, query)
            yield from reply.get(key, [])
            if not reply.get("next_page_token"):
                return
            query["page_token"] = reply["next_page_token"]

    def _answer(self, ask: Callable[[], httpx.Response], attempts: int) -> httpx.Response:
        why = ""
        for attempt in range(attempts):
            if attempt:
                self._sleep(0.2 * 2**attempt)
            try:
                reply = ask()
            except httpx.TransportError as exc:
                why = str(exc) or type(exc).__name__
                continue
            if reply.status_code not in _RETRY_STATUS:
                return self._checked(reply)
            why = f"HTTP {reply.status_code}"
        raise RegistryUnavailable(f"MLflow at {self._base}", why)

    def _checked(self, reply: httpx.Response) -> httpx.Response:
        if reply.is_success:
            return reply
        try:
            problem = reply.json()
        except ValueError:
            problem = {}
        message = f"MLflow at {self._base}: {problem.get('message') or f'HTTP {reply.status_code}'}"
        match problem.get("error_code"):
            case "RESOURCE_DOES_NOT_EXIST" | "NOT_FOUND":
                raise NotFound(message)
            case "RESOURCE_ALREADY_EXISTS":
                raise AlreadyExists(message)
        if reply.status_code in {401, 403}:
            raise RegistryError(f"{message}; check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
        if reply.status_code >= 500:
            raise RegistryUnavailable(f"MLflow at {self._base}", message)
        raise RegistryError(message)
