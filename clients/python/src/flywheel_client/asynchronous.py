"""The client for asyncio: the same methods as coroutines."""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar

import httpx

from flywheel_client import calls
from flywheel_client.calls import Call, Services
from flywheel_client.errors import FlywheelError, Unreachable
from flywheel_client.models import Accepted, BatchResult, FeatureValue, Feedback, Prediction, Status
from flywheel_client.retry import Retry
from flywheel_client.synchronous import INFERENCE_URL, INGEST_URL

T = TypeVar("T")


class AsyncClient:
    """Asks and tells over kept connections. For one event loop; close it, or use it in an `async with`.

    Every method raises FlywheelError: Unreachable or an ApiError, after `retry` has given up.
    """

    def __init__(
        self,
        *,
        ingest_url: str = INGEST_URL,
        inference_url: str = INFERENCE_URL,
        api_key: str | None = None,
        timeout_s: float = 10.0,
        retry: Retry = Retry(),  # noqa: B008 - frozen
    ) -> None:
        self._services = Services(ingest_url.rstrip("/"), inference_url.rstrip("/"), api_key)
        self._http = httpx.AsyncClient(timeout=timeout_s, headers=self._services.headers())
        self._retry = retry

    async def predict(
        self,
        model: str,
        instances: Sequence[Mapping[str, FeatureValue]],
        *,
        user_id: str | None = None,
        explain: bool = False,
    ) -> list[Prediction]:
        """One prediction per instance, in order; with `explain`, what each feature contributed."""
        return await self._run(calls.predict(self._services, model, instances, user_id, explain))

    async def feedback(self, said: Feedback) -> Accepted:
        """Returns when Kafka has it. Sent again under its event_id, it counts once."""
        return await self._run(calls.feedback(self._services, said))

    async def batch(self, said: Sequence[Feedback]) -> BatchResult:
        """Any number at once, in as many requests as the limits ask for. What fits is taken: look at `rejected`."""
        return calls.join([await self._run(call) for call in calls.batches(self._services, said)])

    async def status(self, event_id: str) -> Status:
        """Where one piece of feedback is. Raises NotFound."""
        return await self._run(calls.status(self._services, event_id))

    async def close(self) -> None:
        """Ends the kept connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, call: Call[T]) -> T:
        attempt = 1
        while True:
            try:
                return call.read(await self._ask(call))
            except FlywheelError as error:
                wait_s = self._retry.wait_s(attempt, error)
                if wait_s is None:
                    raise
            await asyncio.sleep(wait_s)
            attempt += 1

    async def _ask(self, call: Call[T]) -> httpx.Response:
        try:
            return await self._http.request(call.method, call.url, content=call.content, headers=call.headers)
        except httpx.TransportError as error:
            raise Unreachable(f"{call.url} does not answer: {error or type(error).__name__}") from error
