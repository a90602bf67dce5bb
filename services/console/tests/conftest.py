"""The console before a world of its own: every port, as small as the pages allow."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from console.application.ports import Away, NotAllowed, NotThere, Recorded
from console.domain.overview import Readiness
from console.entrypoints import pages
from console.entrypoints.views import Views
from flywheel_schemas.spec import ModelSpec, parse_spec
from http_api import keys, problems

HOSTILE = "<script>alert(1)</script>\u202e" + "x" * 300
SPEC = parse_spec(
    "{name: tickets, task: binary, label: {name: p, values: [low, high], positive: high},"
    " features: [{name: channel, type: category, values: [mail, chat], required: true}, {name: words, type: number}]}"
)
MODEL = {
    "name": "tickets",
    "task": "binary",
    "champion": "2",
    "challenger": None,
    "versions": [{"version": "2", "state": "champion", "traffic_percent": 100.0, "loaded": True, "reason": None}],
}
RUN = {
    "run_id": "r",
    "reason": HOSTILE,
    "trigger_id": None,
    "outcome": "promoted",
    "failed": False,
    "version": "2",
    "started_at": "2026-11-24T12:00:00+00:00",
    "ended_at": "2026-11-24T12:00:05+00:00",
    "metrics": {"auc": 0.81},
}
LETTER = Recorded(
    "feedback-dead-letter",
    1,
    7,
    "e1",
    HOSTILE.encode(),
    datetime(2026, 11, 24, tzinfo=UTC),
    {"dlq_reason": HOSTILE, "dlq_topic": "feedback-events", "dlq_partition": "1"},
)
HELD = {
    "event_id": "e1",
    "status": "held",
    "reason": HOSTILE,
    "received_at": "2026-11-24T12:00:00+00:00",
    "decision": {"who": HOSTILE, "at": "2026-11-24T12:00:00+00:00", "why": HOSTILE},
}
DIFF = {
    "from_version": 2,
    "to_version": 1,
    "added": 0,
    "removed": 12345,
    "relabelled": 1,
    "changes": [
        {
            "day": None,
            "source": HOSTILE,
            "model_version": "2",
            "label": HOSTILE,
            "added": 0,
            "removed": 1,
            "relabelled": 0,
        }
    ],
}
ERASURE = {
    "erasure_id": "x1",
    "asked_at": "2026-11-24T12:00:00+00:00",
    "asked_by": HOSTILE,
    "completed_at": None,
    "rows": {"tickets": {"feedback": 3, "predictions": 4}},
    "versions": {"tickets": ["1", "2"]},
}
VERSION = {
    "version": "2",
    "state": "promoted",
    "traffic_percent": 100.0,
    "registered_at": "2026-11-24T12:00:00+00:00",
    "reason": HOSTILE,
    "judged_against": "1",
    "gates": [
        {"name": "metric", "passed": True, "figures": {"gain": 0.01234, "metric": HOSTILE}, "reason": HOSTILE},
        {"name": "compatibility", "passed": False, "figures": {"broken": []}, "reason": "words is gone"},
    ],
    "metrics": {"judged.auc": 0.81},
    "rows_by_source": {"base": 2000, "feedback": 60},
    "erased_rows": 3,
    "history": [
        {
            "at": "2026-11-24T12:00:00+00:00",
            "state": "promoted",
            "traffic_percent": 100.0,
            "who": HOSTILE,
            "reason": HOSTILE,
        }
    ],
}
NOTHING = {"value": None, "low": None, "high": None, "answers": 0}
LIVE = {
    "version": "2",
    "predictions": 4000,
    "audits": 321,
    "accuracy": {"value": 0.8, "low": 0.75, "high": 0.85, "answers": 321},
    "mean_absolute_error": NOTHING,
    "satisfaction": NOTHING,
}
BINS = [{"label": HOSTILE, "then": 0.5, "now": 0.7}]
DRIFT = {
    "model": "tickets",
    "reference": "training set of version 2, 10 rows",
    "predictions": 300,
    "features": [{"name": "words", "psi": 0.3, "noise": 0.02, "bins": BINS}],
    "scores": {"name": "scores", "psi": 0.1, "noise": 0.02, "bins": BINS},
}
SAMPLES = [
    {
        "at": f"2026-11-24T12:0{n}:00+00:00",
        "version": "2",
        "rows": 300,
        "psi": {"words": 0.1 * n, "scores": 0.1},
        "noise": 0.02,
    }
    for n in (1, 9, 3)
]


class World:
    """Every port, as small as the pages allow; `answers` by path, `posted` in order."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "/v1/models": {"models": [MODEL]},
            "/v1/models/tickets": MODEL,
            "/v1/models/tickets/runs": {"running": None, "runs": [RUN]},
            "/v1/feedback/e1": {
                "model": "tickets",
                "status": "stored",
                "received_at": "2026-11-24T12:00:00+00:00",
                "dataset_version": 3,
                "trained_into": ["2"],
                "serving": True,
            },
            "/v1/models/tickets/quarantine?limit=200": {"model": "tickets", "events": [HELD]},
            "/v1/models/tickets/dataset/diff?from=2&to=1": DIFF,
            "/v1/models/tickets/versions/1": VERSION | {"version": "1"},
            "/v1/models/tickets/versions/2": VERSION,
            "/v1/models/tickets/quality": {"model": "tickets", "versions": [LIVE]},
            "/v1/models/tickets/drift": DRIFT,
            "/v1/models/tickets/drift/history": {"model": "tickets", "samples": SAMPLES},
            "/v1/erasures": {"erasures": [ERASURE]},
            "/assets/feedback/v1/manifest.json": {"path": "/assets/feedback/v1/x.js", "integrity": "sha384-x"},
        }
        self.posted: list[tuple[str, Mapping[str, Any], str | None]] = []
        self.replayed: list[tuple[bytes, str]] = []
        self.kafka_away = False

    async def readiness(self) -> tuple[Readiness, ...]:
        return (Readiness("ingest", reachable=True, problems={"kafka": HOSTILE}),)

    async def get(self, service: str, path: str, key: str | None) -> Any:
        if path not in self.answers:
            raise NotThere("There is no such thing.")
        return self.answers[path]

    async def post(self, service: str, path: str, body: Mapping[str, Any], key: str | None) -> Any:
        self.posted.append((path, body, key))
        if isinstance(answer := self.answers.get(f"POST {path}", {}), Exception):
            raise answer
        return answer

    async def delete(self, service: str, path: str, key: str | None) -> Any:
        self.posted.append((f"DELETE {path}", {}, key))
        return {"erasure_id": "x1"}

    def recent_feedback(self) -> Sequence[Recorded]:
        if self.kafka_away:
            raise Away("Kafka does not answer")
        event = (
            b'{"event_id": "e1", "model": "tickets", "kind": "<script>alert(1)</script>", "received_at": 5,'
            b' "occurred_at": "<script>alert(1)</script>", "comment": "<script>alert(1)</script>"}'
        )
        return [Recorded("feedback-events", 0, 1, "e1", event, datetime(2026, 11, 24, tzinfo=UTC), {})]

    def dead_letters(self) -> Sequence[Recorded]:
        return [LETTER]

    async def lag(self) -> Mapping[str, int]:
        return {"feedback-events": 12345}

    def replay(self, letter: Recorded, value: bytes, who: str) -> None:
        if b"event" not in value:
            raise NotAllowed("This is no feedback event: kind missing")
        self.replayed.append((value, who))

    def specs(self) -> Mapping[str, ModelSpec]:
        return {"tickets": SPEC}

    def versions(self, model: str, limit: int) -> Sequence[Mapping[str, Any]]:
        at = datetime(2026, 11, 24, tzinfo=UTC)
        common = {"operation": "WRITE", "rows": 5, "note": HOSTILE, "who": HOSTILE}
        return [{"version": n, "at": at.replace(hour=n), **common} for n in (2, 1, 0)][:limit]

    def summary(self, model: str) -> Sequence[Mapping[str, Any]]:
        return [{"event_date": "2026-11-24", "source": HOSTILE, "kind": "correction", "label": "low", "rows": 5}]

    def samples(self) -> Sequence[Any]:
        return []


@pytest.fixture
def world() -> World:
    return World()


def client(world: World, keys_file: Path | None = None, **options: Any) -> TestClient:
    app = FastAPI()
    problems.install(app)
    views = Views(world, world, world, world, world)
    pages.install(app, views, keys.ApiKeys.load(keys_file), httpx.AsyncClient(), "http://127.0.0.1:9")
    return TestClient(app, base_url="http://localhost:8000", **options)
