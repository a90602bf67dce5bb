"""The two HTTP APIs, and a count of every request that went to them."""

import time
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from flights.crowd import Answer, Body

MODEL = "flights"
CONNECTIONS = 8


@dataclass(slots=True)
class Tally:
    """Requests and what became of them. `failures` has a line for each that was not answered as it should be."""

    predict_requests: int = 0
    feedback_requests: int = 0
    failures: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    refused: int = 0
    first_answer: dict[str, float] = field(default_factory=dict)

    @property
    def sent(self) -> int:
        """Requests sent."""
        return self.predict_requests + self.feedback_requests


class Calls:
    """A client of inference and ingest. A request that fails is counted, told and not repeated."""

    def __init__(self, inference: str, ingest: str) -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        self._http = httpx.AsyncClient(timeout=30.0, limits=limits)
        self._predict = f"{inference}/v1/models/{MODEL}/predict"
        self._feedback = f"{ingest}/v1/feedback"
        self.tally = Tally()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def predict(self, instances: list[Body]) -> list[Answer | None]:
        """One answer per instance; None for each where the request failed."""
        self.tally.predict_requests += 1
        found = await self._post(self._predict, {"instances": instances}, {200})
        if found is None:
            return [None] * len(instances)
        answers = [_answer(prediction) for prediction in found["predictions"]]
        for answer in answers:
            self.tally.first_answer.setdefault(answer.model_version, time.time())
        return list(answers)

    async def post(self, sound: list[Body], nonsense: list[Body]) -> None:
        """Post feedback in one request. Whatever is refused of `sound`, or accepted of `nonsense`, is a failure."""
        bodies = [*sound, *nonsense]
        self.tally.feedback_requests += 1
        if len(bodies) == 1:
            await self._post_one(bodies[0], is_sound=bool(sound))
            return
        found = await self._post(f"{self._feedback}/batch", bodies, {202, 207, 422})
        for item in found["items"] if found else ():
            self._count(item["event_id"], item["status"] == "accepted", item["index"] < len(sound), item)

    async def _post_one(self, body: Body, *, is_sound: bool) -> None:
        found = await self._post(self._feedback, body, {202} if is_sound else {401, 422})
        if found is not None:
            self._count(body["event_id"], is_sound, is_sound, found)

    def _count(self, event_id: str, accepted: bool, sound: bool, told: Any) -> None:
        if accepted:
            self.tally.accepted.append(event_id)
        else:
            self.tally.refused += 1
        if accepted != sound:
            self.tally.failures.append(f"{'accepted' if accepted else 'refused'} against expectation: {told}")

    async def _post(self, url: str, content: Any, expected: set[int]) -> Any | None:
        try:
            response = await self._http.post(url, json=content)
        except httpx.HTTPError as exc:
            self.tally.failures.append(f"POST {url}: {exc!r}")
            return None
        if response.status_code not in expected:
            self.tally.failures.append(f"POST {url}: {response.status_code} {response.text[:300]}")
            return None
        return response.json()


def _answer(prediction: Body) -> Answer:
    return Answer(
        prediction["prediction_id"],
        prediction["feedback_token"],
        prediction["feedback_requested"],
        prediction["label"],
        prediction["scores"]["late"],
        prediction["model_version"],
    )
