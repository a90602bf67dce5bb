"""The client for ordinary code."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar

import httpx

from flywheel_client import calls
from flywheel_client.calls import Call, Services
from flywheel_client.errors import FlywheelError, Unreachable
from flywheel_client.models import Accepted, BatchResult, FeatureValue, Feedback, Prediction, Status
from flywheel_client.retry import Retry

INGEST_URL = "http://127.0.0.1:8001"
INFERENCE_URL = "http://127.0.0.1:8002"
T = TypeVar("T")


class Client:
    """Asks and tells over kept connections. Safe to share among threads; close it, or use it in a `with`.

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
        self._http = httpx.Client(timeout=timeout_s, headers=self._services.headers())
        self._retry = retry

    def predict(
        self,
        model: str,
        instances: Sequence[Mapping[str, FeatureValue]],
        *,
        user_id: str | None = None,
        explain: bool = False,
    ) -> list[Prediction]:
        """One prediction per instance, in order; with `explain`, what each feature contributed."""
        return self._run(calls.predict(self._services, model, instances, user_id, explain))

    def feedback(self, said: Feedback) -> Accepted:
        """Returns when Kafka has it. Sent again under its event_id, it counts once."""
        return self._run(calls.feedback(self._services, said))

    def batch(self, said: Sequence[Feedback]) -> BatchResult:
        """Any number at once, in as many requests as the limits ask for. What fits is taken: look at `rejected`."""
        return calls.join([self._run(call) for call in calls.batches(self._services, said)])

    def status(self, event_id: str) -> Status:
        """Where one piece of feedback is. Raises NotFound."""
        return self._run(calls.status(self._services, event_id))

    def close(self) -> None:
        """Ends the kept connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, call: Call[T]) -> T:
        attempt = 1
        while True:
            try:
                return call.read(self._ask(call))
            except FlywheelError as error:
                wait_s = self._retry.wait_s(attempt, error)
                if wait_s is None:
                    raise
            time.sleep(wait_s)
            attempt += 1

    def _ask(self, call: Call[T]) -> httpx.Response:
        try:
            return self._http.request(call.method, call.url, content=call.content, headers=call.headers)
        except httpx.TransportError as error:
            raise Unreachable(f"{call.url} does not answer: {error or type(error).__name__}") from error
