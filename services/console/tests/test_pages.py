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
        self.replayed: list[bytes] = []
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

    def replay(self, letter: Recorded, value: bytes) -> None:
        if b"event" not in value:
            raise NotAllowed("This is no feedback event: kind missing")
        self.replayed.append(value)

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


PAGES = [
    "/",
    "/try",
    "/models",
    "/models/tickets",
    "/models/tickets?beside=1",
    "/models/tickets/versions/2",
    "/models/tickets/promote?version=2",
    "/models/tickets/rollback",
    "/rollouts",
    "/datasets",
    "/datasets/tickets/diff?from=2&to=1",
    "/datasets/tickets/rollback?version=1",
    "/erasures/new",
    "/erasures/x1",
    "/feedback",
    "/feedback/e1",
    "/drift",
    "/alerts",
    "/alerts/letters/1/7",
]


@pytest.mark.parametrize("path", PAGES)
def test_each_page_shows_what_others_say_as_text_and_loads_nothing_inline_or_from_elsewhere(world, path):
    page = client(world).get(path)

    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_every_asset_has_its_integrity_and_is_kept_for_ever(world):
    asked = client(world)
    page = asked.get("/").text
    addresses = [part.split('"')[0] for part in page.split('"/static/')[1:]]

    assert len(addresses) >= 3
    assert page.count("integrity=") == 2
    for address in addresses:
        assert "immutable" in asked.get(f"/static/{address}").headers["cache-control"]


def test_a_table_is_exported_as_it_is_shown(world):
    exported = client(world).get("/datasets?csv=versions&versions.sort=version&versions.desc=1")

    assert exported.headers["content-type"].startswith("text/csv")
    assert [line.split(",")[0] for line in exported.text.splitlines()] == ["version", "2", "1", "0"]


def test_a_version_shows_each_gate_with_its_figures(world):
    exported = client(world).get("/models/tickets/versions/2?csv=gates").text

    assert "gain 0.0123" in exported
    assert "compatibility,failed,words is gone,broken none" in exported


def test_two_versions_stand_side_by_side_with_what_audits_say_of_them(world):
    exported = client(world).get("/models/tickets?beside=1&csv=beside").text.splitlines()

    assert "live accuracy,0.800 (0.750 to 0.850)," in exported
    assert 'rows learned from,"2,000 base, 60 feedback","2,000 base, 60 feedback"' in exported
    assert "gates passed,1 of 2,1 of 2" in exported


def test_quality_by_version_is_drawn_with_its_interval_and_audited_count(world):
    assert "2 (321 audited): 0.8" in client(world).get("/models/tickets").text


def test_drift_over_time_is_drawn_and_its_columns_are_exported(world):
    page = client(world).get("/drift").text
    exported = client(world).get("/drift?csv=columns&columns.sort=psi&columns.desc=1").text

    assert "Population stability index over time: scores now 0.1; words now 0.3; chance alone, at most now 0.02" in page
    assert exported.splitlines()[1] == "words,0.3,0.02,0.9"


def test_what_is_away_is_said_in_place_of_the_page(world):
    world.kafka_away = True
    page = client(world).get("/feedback")

    assert page.status_code == 503
    assert "Kafka does not answer" in page.text


def test_what_is_not_there_is_404(world):
    assert client(world).get("/models/nothing").status_code == 404
    assert client(world).get("/alerts/letters/0/0").status_code == 404
    assert client(world).get("/datasets/tickets/diff?from=x&to=1").status_code == 404


def test_an_action_says_what_it_will_do_asks_why_and_is_carried_out(world):
    asked = client(world, follow_redirects=False)
    page = asked.get("/models/tickets/promote?version=2").text
    done = asked.post("/models/tickets/promote", data={"version": "2", "strategy": "canary", "reason": "it is better"})

    assert "Promote version 2 of tickets" in page
    assert done.status_code == 303
    assert world.posted == [
        (
            "/v1/models/tickets/promote",
            {"reason": "it is better", "version": "2", "strategy": "canary"},
            None,
        )
    ]


def test_a_rollback_of_a_dataset_says_before_what_it_would_change(world):
    page = client(world).get("/datasets/tickets/rollback?version=1").text

    assert "12,345" in page
    assert world.posted == []


def test_what_was_erased_is_listed_in_quarantine_without_a_decision_to_take(world):
    world.answers["/v1/models/tickets/quarantine?limit=200"]["events"] = [HELD | {"reason": "erased", "decision": None}]
    exported = client(world).get("/datasets?csv=quarantine").text.splitlines()[1]

    assert exported == "e1,erased,erased,2026-11-24T12:00:00+00:00,,,,,"


def test_an_erasure_wants_the_user_named_twice_and_leads_to_its_record(world):
    asked = client(world, follow_redirects=False)
    unsure = asked.post("/erasures/new", data={"user_id": "ada/1", "again": "adam"})
    done = asked.post("/erasures/new", data={"user_id": "ada/1", "again": "ada/1"})

    assert (unsure.status_code, done.status_code, done.headers["location"]) == (422, 303, "/erasures/x1")
    assert world.posted == [("DELETE /v1/users/ada%2F1/feedback", {}, None)]


def test_the_record_of_an_erasure_lists_the_models_that_had_learned(world):
    page = client(world).get("/erasures/x1").text

    assert "had learned from it" in page
    assert "1, 2" in page
    assert client(world).get("/erasures/x2").status_code == 404


def test_a_refused_action_keeps_what_was_written_and_says_why(world):
    world.answers["POST /v1/models/tickets/promote"] = NotAllowed("Version 2 serves already.")
    page = client(world).post("/models/tickets/promote", data={"version": "2", "reason": "again"})

    assert page.status_code == 409
    assert "Version 2 serves already." in page.text
    assert 'value="again"' in page.text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"host": "evil.example"},
    ],
)
def test_another_sites_page_cannot_act(world, headers):
    refused = client(world).post("/models/tickets/rollback", data={"reason": "x"}, headers=headers)

    assert refused.status_code == 403
    assert world.posted == []


def test_without_keys_another_name_for_this_machine_cannot_read(world):
    assert client(world).get("/", headers={"host": "evil.example"}).status_code == 403
    assert client(world).get("/", headers={"host": "127.0.0.1:8000"}).status_code == 200


def test_where_keys_are_in_use_a_browser_is_asked_for_one(world, tmp_path):
    file = tmp_path / "keys.json"
    secret, _ = keys.create(file, ["read"])
    asked = client(world, file).get("/")

    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Basic")
    assert client(world, file).get("/", auth=("anyone", secret)).status_code == 200


def test_reading_needs_read_acting_needs_operate_and_goes_under_the_persons_own_key(world, tmp_path):
    file = tmp_path / "keys.json"
    predict, _ = keys.create(file, ["predict"])
    read, _ = keys.create(file, ["read"])
    operate, _ = keys.create(file, ["read", "operate"])
    asked = client(world, file, follow_redirects=False)

    assert asked.get("/", auth=("a", predict)).status_code == 403
    assert "needs the role operate" in asked.get("/models/tickets/rollback", auth=("a", read)).text
    assert asked.post("/models/tickets/rollback", auth=("a", read), data={"reason": "x"}).status_code == 403
    assert asked.post("/alerts/replay", auth=("a", read)).status_code == 403
    assert asked.post("/models/tickets/rollback", auth=("a", operate), data={"reason": "x"}).status_code == 303
    assert [key for _, _, key in world.posted] == [operate]


def test_a_dead_letter_that_was_mended_is_sent_again_and_a_broken_one_is_refused(world):
    asked = client(world, follow_redirects=False)
    broken = asked.post("/alerts/letters/1/7", data={"value": "nonsense"})
    mended = asked.post("/alerts/letters/1/7", data={"value": '{"event_id": "e1"}'})

    assert (broken.status_code, mended.status_code) == (409, 303)
    assert "This is no feedback event" in broken.text
    assert world.replayed == [b'{"event_id": "e1"}']


def test_a_model_answers_with_its_reasons_and_a_form_for_feedback(world):
    world.answers["POST /v1/models/tickets/predict?explain=true"] = {
        "predictions": [
            {
                "label": "high",
                "model_version": "2",
                "feedback_token": "t",
                "scores": {"low": 0.2, "high": 0.8},
                "contributions": {"words": 1.5, "channel": -0.3},
            }
        ]
    }
    page = client(world).post("/try", data={"model": "tickets", "f.channel": "chat", "f.words": "12"}).text

    assert world.posted[0][1] == {"instances": [{"channel": "chat", "words": 12.0}]}
    assert '<flywheel-feedback token="t"' in page
    assert "+1.500" in page


def test_what_a_model_refuses_is_said_beside_the_form(world):
    world.answers["POST /v1/models/tickets/predict?explain=true"] = NotAllowed("words is a number")
    page = client(world).post("/try", data={"model": "tickets", "f.channel": "chat", "f.words": "many"})

    assert page.status_code == 422
    assert "words is a number" in page.text
