"""The lane and the front door are one service: what the lane takes, it answers as the door does."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from features import FeatureSchema
from http_api import key_file, problems
from http_api.keys import ApiKeys
from http_api.problems import Problem
from inference.application.answer import AnswerQuestions
from inference.application.catalogue import Catalogue
from inference.application.served import Lineup, ServedModel
from inference.entrypoints.admission import Admission
from inference.entrypoints.desk import Desk
from inference.entrypoints.predict import FrontDoor
from inference.entrypoints.predict_lane import PredictLane

JSON = (b"content-type", b"application/json")
PATH = "/v1/models/flights/predict"
FITS = b'{"instances":[{"carrier":"UA","distance":100}],"user_id":"ada"}'
AT_THE_DOOR = {"prediction_id", "feedback_token", "feedback_requested"}  # drawn anew for each answer


class Figures:
    """Keeps what was handed over of answers."""

    def __init__(self) -> None:
        self.answered: list[Any] = []
        self.refused = 0

    def refuse(self) -> None:
        self.refused += 1


class Log:
    def __init__(self, figures: Figures) -> None:
        self.offer = figures.answered.append


class Nobody:
    def answered(self, model: str, version: str, variant: str, rows: int, seconds: float) -> None: ...

    def offer(self, *_: Any) -> None: ...


@pytest.fixture
def figures() -> Figures:
    return Figures()


@pytest.fixture
def desk_of(served, keys, figures):
    def make(key_file: Path | None = None, limit: int = 10, **changes: object) -> Desk:
        catalogue = Catalogue()
        model: ServedModel = served(**changes)
        assert isinstance(model.schema, FeatureSchema)
        catalogue.install(Lineup(model))
        answer = AnswerQuestions(keys, Log(figures), Nobody(), Nobody())
        admission = Admission(limit, 10**7, figures.refuse)
        return Desk(catalogue, answer, ApiKeys.load(key_file), admission, ThreadPoolExecutor(1), None)  # type: ignore[arg-type]

    return make


def by_lane(desk: Desk, body: bytes = FITS, *headers: tuple[bytes, bytes], path: str = PATH):
    """What the lane answers as (status line and headers, body); None where it leaves the request to the door."""
    answers: list[tuple[bytes, bytes]] = []
    taker = PredictLane(desk).taker(path.encode())
    taken = taker is not None and taker([JSON, *headers], body, lambda *answer: answers.append(answer))
    assert len(answers) == taken
    return answers[0] if taken else None


async def at_the_door(desk: Desk, body: bytes) -> httpx.Response:
    async def nothing_else(scope, receive, send):
        await problems.response(Problem(404, "Not Found", "nothing"), scope["path"])(scope, receive, send)

    transport = httpx.ASGITransport(FrontDoor(desk, nothing_else))
    async with httpx.AsyncClient(transport=transport, base_url="http://inference") as client:
        return await client.post(PATH, content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
async def test_what_fits_is_answered_and_logged_as_at_the_door(desk_of, figures, task):
    desk = desk_of(task=task)
    theirs = await at_the_door(desk, FITS)
    head, text = by_lane(desk)
    status, *lines = head.decode().split("\r\n")
    assert status == f"HTTP/1.1 {theirs.status_code} OK"
    assert dict(line.split(": ") for line in lines if line) == dict(theirs.headers) | {"content-length": str(len(text))}
    [ours], [door] = json.loads(text)["predictions"], theirs.json()["predictions"]
    assert ours.keys() == door.keys()
    assert all(ours[name] == door[name] for name in ours.keys() - AT_THE_DOOR)
    logged_there, logged_here = figures.answered
    assert logged_here.user_hash == logged_there.user_hash
    assert logged_here.rows == logged_there.rows
    assert logged_here.answers[0].prediction_id == ours["prediction_id"]


def test_what_it_answers_is_counted(desk_of):
    def answered() -> float:
        labels = {"endpoint": "/v1/models/{model}/predict", "status": "200"}
        return REGISTRY.get_sample_value("flywheel_inference_requests_total", labels) or 0.0

    before = answered()
    assert by_lane(desk_of())
    assert answered() == before + 1


async def test_a_trace_goes_on(desk_of, figures):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert by_lane(desk_of(), FITS, (b"traceparent", trace.encode()))
    assert figures.answered[0].traceparent[:36] == trace[:36]


@pytest.mark.parametrize(
    "path",
    ["/v1/models/flights/predict?explain=true", "/v1/models/other/predict", "/v1/models/flights", "/v2/x/predict"],
)
def test_another_route_a_query_or_an_unknown_model_is_left_to_the_door(desk_of, figures, path):
    assert by_lane(desk_of(), path=path) is None
    assert figures.answered == []


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b'{"instances":[]}',
        b'{"instances":[{"carrier":"ZZ"}]}',
        b'{"instances":[{"carrier":"UA","carrier":"AA"}]}',
        b'{"instances":[{"carrier":"UA"}],"user_id":""}',
    ],
)
def test_what_does_not_fit_is_left_to_the_door(desk_of, figures, body):
    assert by_lane(desk_of(), body) is None
    assert figures.answered == []


@pytest.mark.parametrize(
    "header",
    [(b"content-type", b"text/plain"), (b"content-encoding", b"gzip"), (b"x-request-timeout", b"1")],
    ids=["type", "coding", "deadline"],
)
def test_what_is_not_plain_is_left_to_the_door(desk_of, header):
    assert by_lane(desk_of(), FITS, header) is None


def test_keys_are_asked_for(desk_of, tmp_path):
    file = tmp_path / "keys.json"
    writer, _ = key_file.create(file, ["feedback:write"], "app")
    asker, _ = key_file.create(file, ["predict"], "app")
    desk = desk_of(file)
    assert by_lane(desk) is None
    assert by_lane(desk, FITS, (b"x-api-key", writer.encode())) is None
    assert by_lane(desk, FITS, (b"x-api-key", asker.encode())) is not None


def test_a_full_house_is_left_to_the_door_which_alone_counts_the_refusal(desk_of, figures):
    desk = desk_of(limit=1)
    with desk.admission.taking_on(1):
        assert by_lane(desk) is None
    assert figures.refused == 0
    assert by_lane(desk) is not None


@pytest.mark.parametrize(("sampler", "taken"), [("always_on", False), ("always_off", True)])
def test_a_trace_that_is_kept_goes_by_the_door_which_makes_its_span(desk_of, request, monkeypatch, sampler, taken):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    request.getfixturevalue("spans")
    assert (by_lane(desk_of()) is not None) is taken
