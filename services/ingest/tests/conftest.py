"""The application with everything real but Kafka and the lake, which are as small as their ports allow."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from flywheel_schemas.events import Feedback
from flywheel_schemas.spec import parse_spec
from flywheel_schemas.tokens import FeedbackToken, TokenKeys
from http_api.keys import ApiKeys
from ingest.application.accepting import Desk, TokenPolicy
from ingest.application.erasing import Erase
from ingest.application.ports import Accepted, NotPublished, Outcome, Sighting
from ingest.application.whereabouts import Whereabouts
from ingest.domain.models import KnownModel
from ingest.entrypoints import http

SECRET = "a key for tests only"
PREDICTION_ID = "11111111-2222-4333-8444-555555555555"
EVENT_ID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
FLIGHTS = """
name: flights
task: binary
label: {name: late, values: [on_time, late], positive: late}
features:
  - {name: carrier, type: category, values: [UA, AA, B6], required: true}
  - {name: distance, type: number, range: [0, 6000]}
"""
DELAYS = """
name: delays
task: regression
label: {name: minutes, range: [-120, 2000]}
features:
  - {name: distance, type: number}
"""


class Models:
    def __init__(self, *texts: str) -> None:
        self.known = {model.spec.name: model for model in (KnownModel.of(parse_spec(text)) for text in texts)}

    def get(self, name: str) -> KnownModel | None:
        return self.known.get(name)

    def names(self) -> list[str]:
        return sorted(self.known)


@dataclass
class Publishing:
    """Keeps what is published; fails with `error` those events that `fails` picks."""

    events: list[Accepted] = field(default_factory=list)
    traceparents: list[str] = field(default_factory=list)
    error: NotPublished | None = None
    fails: Callable[[Accepted], bool] = lambda _: True

    outcome_later: NotPublished | None = None

    def send(self, event: Accepted, received_at: datetime, traceparent: str, outcome: Outcome) -> None:
        if self.error is not None and self.fails(event):
            raise self.error
        if self.outcome_later is None:
            self.events.append(event)
        outcome(self.outcome_later)

    async def publish(self, event: Accepted, received_at: datetime, traceparent: str) -> None:
        if failed := await self.publish_all([event], received_at, traceparent):
            raise failed[event.event_id]

    async def publish_all(
        self, events: Sequence[Accepted], received_at: datetime, traceparent: str
    ) -> Mapping[str, NotPublished]:
        self.traceparents.append(traceparent)
        failed = {each.event_id: self.error for each in events if self.error is not None and self.fails(each)}
        self.events += [each for each in events if each.event_id not in failed]
        return failed

    @property
    def feedback(self) -> list[Feedback]:
        return [Feedback.parse(event.value) for event in self.events]


@dataclass
class Places:
    """The log, the lake and the champions of `Whereabouts`, as small as can be."""

    position: int = 0
    in_log: dict[str, Sighting] = field(default_factory=dict)
    dead: dict[str, Sighting] = field(default_factory=dict)
    in_lake: dict[str, Sighting] = field(default_factory=dict)
    versions: dict[str, list[str]] = field(default_factory=dict)
    champion: str | None = None
    erased: list[tuple[str, str]] = field(default_factory=list)
    log_away: Exception | None = None
    lake_away: Exception | None = None

    def processed_up_to(self, event_id: str) -> int:
        return self._unless(self.log_away, self.position)

    def waiting(self, event_id: str, from_offset: int) -> Sighting | None:
        assert from_offset == self.position
        return self._unless(self.log_away, self.in_log.get(event_id))

    def dead_lettered(self, event_id: str) -> Sighting | None:
        return self._unless(self.log_away, self.dead.get(event_id))

    def find(self, event_id: str, models: Sequence[str]) -> Sighting | None:
        return self._unless(self.lake_away, self.in_lake.get(event_id))

    def ask(self, user_hash: str, now: datetime, asked_by: str) -> str:
        self.erased.append((user_hash, asked_by))
        return self._unless(self.lake_away, "erasure-1")

    def trained_into(self, event: Sighting) -> list[str]:
        return self.versions.get(event.event_id, [])

    def of(self, model: str) -> str | None:
        return self.champion

    def _unless(self, away: Exception | None, value: Any) -> Any:
        if away is not None:
            raise away
        return value


class Service:
    """The HTTP application in this process, and what is behind it."""

    def __init__(self, **parts: Any) -> None:
        self.models = Models(FLIGHTS, DELAYS)
        self.publishing = Publishing()
        self.places = Places()
        self.looks = 0
        self.appearing: list[str] = []
        self.trouble: str | None = None
        self.tokens = TokenKeys(SECRET)
        policy = TokenPolicy(parts.pop("require_token", False), 90 * 86400.0)
        keys = ApiKeys.load(parts.pop("keys_file", None))
        made = http.Parts(
            desk=Desk(self.models, self.tokens, policy),
            publishing=self.publishing,
            look_for_models=self.look,
            whereabouts=Whereabouts(self.models, self.places, self.places, self.places),
            keys=keys,
            kafka_trouble=lambda: self.trouble,
            erase=Erase(self.places, self.tokens, lambda: datetime.now(UTC)),
            **parts,
        )
        self.app = http.application(made, _nothing_beside)
        self.lane = http.express_lane(made)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://ingest")

    async def look(self) -> None:
        self.looks += 1
        self.models.known.update(Models(*self.appearing).known)

    def token(self, **changes: Any) -> str:
        told = {
            "prediction_id": PREDICTION_ID,
            "model": "flights",
            "model_version": "3",
            "variant": "champion",
            "predicted": "late",
            "audited": True,
            "issued_at_s": int(datetime.now(UTC).timestamp()),
        }
        return self.tokens.sign(FeedbackToken(**{**told, **changes}))

    async def post(self, event: object, **options: Any) -> httpx.Response:
        return await self.client.post("/v1/feedback", json=event, **options)

    async def send(self, raw: bytes, content_type: str = "application/json", **headers: str) -> httpx.Response:
        return await self.client.post("/v1/feedback", content=raw, headers={"content-type": content_type, **headers})

    async def batch(self, events: object) -> httpx.Response:
        return await self.client.post("/v1/feedback/batch", json=events)

    async def lines(self, raw: bytes) -> httpx.Response:
        headers = {"content-type": "application/x-ndjson"}
        return await self.client.post("/v1/feedback/batch", content=raw, headers=headers)


@asynccontextmanager
async def _nothing_beside(_: Any) -> AsyncIterator[None]:
    yield


def example(**changes: Any) -> dict[str, Any]:
    """An example that fits, with `changes`; None removes a field."""
    event = {"model": "flights", "kind": "example", "features": {"carrier": "UA", "distance": 1400}, "label": "late"}
    return {name: value for name, value in {**event, **changes}.items() if value is not None}


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def make_service() -> type[Service]:
    return Service


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"
