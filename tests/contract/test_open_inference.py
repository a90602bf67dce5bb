"""The Open Inference Protocol v2 as its REST specification words it, spoken by a plain HTTP client."""

import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import lightgbm
import numpy as np
import pytest

from features import Answers
from flywheel_schemas.spec import FeatureSpec, LabelSpec, ModelSpec
from flywheel_schemas.tokens import TokenKeys
from http_api import keys
from inference.adapters.lightgbm_native import NativeBooster
from inference.application.answer import AnswerQuestions
from inference.application.catalogue import Catalogue
from inference.application.ports import ModelRefused
from inference.application.served import Lineup, ServedModel, make_served
from inference.application.shelf import OnDemand
from inference.domain.claims import Artifact
from inference.entrypoints import app as api
from inference.entrypoints.admission import Admission
from inference.entrypoints.desk import Desk

TOKENS = TokenKeys("a key for tests only")
MIXED = ModelSpec(
    name="flights",
    task="multiclass",
    label=LabelSpec(name="when", values=("early", "on_time", "late")),
    features=(
        FeatureSpec(name="carrier", type="category", values=("UA", "AA"), required=True),
        FeatureSpec(name="distance", type="number", range=(0.0, 6000.0)),
    ),
)
NUMBERS = ModelSpec(
    name="trips",
    task="regression",
    label=LabelSpec(name="minutes"),
    features=(FeatureSpec(name="x", type="number"), FeatureSpec(name="y", type="number")),
)
ROW = [
    {"name": "carrier", "datatype": "BYTES", "shape": [2], "data": ["UA", "AA"]},
    {"name": "distance", "datatype": "FP64", "shape": [2], "data": [10.5, 300]},
]


class Nobody:
    """Takes predictions and counts for nobody."""

    def offer(self, *answered: object) -> None: ...

    def swapped(self, model: str, seconds: float) -> None: ...

    def refused(self, model: str, kind: str) -> None: ...

    def answered(self, model: str, version: str, variant: str, rows: int, seconds: float) -> None: ...


class Elsewhere(OnDemand):
    """No version but those that serve."""

    def __init__(self) -> None: ...

    def get(self, model: str, version: str) -> ServedModel:
        raise ModelRefused("missing", f"{model} has no version {version}")


def booster(spec: ModelSpec, folder: Path) -> NativeBooster:
    rng = np.random.default_rng(1)
    matrix = np.column_stack([rng.integers(0, 2, 300), rng.uniform(0, 6000, 300)])
    labels = rng.choice(spec.classes, 300).tolist() if spec.classes else matrix.sum(axis=1).tolist()
    data = lightgbm.Dataset(matrix, Answers(spec).targets(labels), feature_name=list(spec.feature_names))
    parameters: dict[str, Any] = {"objective": spec.task, "verbosity": -1, "num_threads": 1}
    if spec.classes:
        parameters["num_class"] = len(spec.classes)
    file = folder / f"{spec.name}.txt"
    lightgbm.train(parameters, data, 5).save_model(file)
    return NativeBooster(file)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    folder, made = tmp_path_factory.mktemp("models"), Catalogue()
    for spec in (MIXED, NUMBERS):
        artifact = Artifact(spec.name, "3", "file:///nowhere", "")
        made.install(Lineup(make_served(artifact, datetime.now(UTC), spec, booster(spec, folder), TOKENS)))
    made.describe({"flights": "multiclass", "trips": "regression", "later": "binary"})
    made.topic_problem = lambda: None
    made.registry_said(None)
    return made


def client_of(catalogue: Catalogue, key_file: Path | None = None) -> httpx.AsyncClient:
    @asynccontextmanager
    async def life(_: object) -> AsyncIterator[None]:
        yield

    answer = AnswerQuestions(TOKENS, Nobody(), Nobody(), Nobody())
    admission = Admission(10, 10**7, lambda: None)
    desk = Desk(catalogue, answer, keys.ApiKeys.load(key_file), admission, ThreadPoolExecutor(1), Elsewhere())
    transport = httpx.ASGITransport(api.build(desk, life, {}, lambda: None))
    return httpx.AsyncClient(transport=transport, base_url="http://inference")


@pytest.fixture
def client(catalogue: Catalogue) -> Iterator[httpx.AsyncClient]:
    yield client_of(catalogue)


async def test_the_server_says_who_it_is_and_that_it_lives(client: httpx.AsyncClient) -> None:
    described = (await client.get("/v2")).json()
    assert described["name"] == "flywheel"
    assert isinstance(described["version"], str)
    assert isinstance(described["extensions"], list)
    assert (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}


@pytest.mark.parametrize("path", ["/v2/models/flights", "/v2/models/flights/versions/3"])
async def test_metadata_names_every_feature_and_every_output(client: httpx.AsyncClient, path: str) -> None:
    described = (await client.get(path)).json()
    assert described == {
        "name": "flights",
        "versions": ["3"],
        "platform": "lightgbm",
        "inputs": [
            {"name": "carrier", "datatype": "BYTES", "shape": [-1]},
            {"name": "distance", "datatype": "FP64", "shape": [-1]},
        ],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "scores", "datatype": "FP64", "shape": [-1, 3]},
            {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
            {"name": "feedback_token", "datatype": "BYTES", "shape": [-1]},
            {"name": "feedback_requested", "datatype": "BOOL", "shape": [-1]},
        ],
    }
    assert (await client.get(f"{path}/ready")).json() == {"name": "flights", "ready": True}


@pytest.mark.parametrize("path", ["/v2/models/flights/infer", "/v2/models/flights/versions/3/infer"])
async def test_infer_answers_each_row_as_predict_does_and_echoes_the_id(client: httpx.AsyncClient, path: str) -> None:
    reply = (await client.post(path, json={"id": "42", "inputs": ROW, "parameters": {"user_id": "u"}})).json()
    assert (reply["id"], reply["model_name"], reply["model_version"]) == ("42", "flights", "3")
    outputs = {tensor["name"]: tensor for tensor in reply["outputs"]}
    instances = [{"carrier": "UA", "distance": 10.5}, {"carrier": "AA", "distance": 300}]
    predicted = (await client.post("/v1/models/flights/predict", json={"instances": instances})).json()["predictions"]
    assert outputs["label"]["data"] == [answer["label"] for answer in predicted]
    assert outputs["scores"]["shape"] == [2, 3]
    assert outputs["scores"]["data"] == [answer["scores"][name] for answer in predicted for name in MIXED.classes]
    for one_id, token in zip(outputs["prediction_id"]["data"], outputs["feedback_token"]["data"], strict=True):
        assert TOKENS.verify(token, now_s=time.time(), max_age_s=60).prediction_id == one_id


async def test_a_model_of_numbers_takes_one_matrix_and_answers_numbers(client: httpx.AsyncClient) -> None:
    matrix = {"name": "features", "datatype": "FP64", "shape": [2, 2], "data": [[0, 5], [1, 6]]}
    request = {"inputs": [matrix], "outputs": [{"name": "label"}]}
    [label] = (await client.post("/v2/models/trips/infer", json=request)).json()["outputs"]
    assert (label["name"], label["datatype"], label["shape"]) == ("label", "FP64", [2])
    instances = [{"x": 0, "y": 5}, {"x": 1, "y": 6}]
    predicted = (await client.post("/v1/models/trips/predict", json={"instances": instances})).json()["predictions"]
    assert label["data"] == [answer["label"] for answer in predicted]
    assert [answer["scores"] for answer in predicted] == [None, None]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/nobody", 404),
        ("GET", "/v2/models/nobody/ready", 404),
        ("GET", "/v2/models/flights/versions/2", 404),
        ("GET", "/v2/models/later/ready", 503),
        ("POST", "/v2/models/nobody/infer", 404),
        ("POST", "/v2/models/flights/infer", 400),
    ],
)
async def test_errors_have_the_protocols_own_form(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await client.request(method, path, **({"json": {"inputs": []}} if method == "POST" else {}))
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"inputs": 7}', b'{"inputs": [], "inputs": []}', b"\xff", b'{"inputs": [NaN]}']
)
async def test_a_body_that_is_no_request_is_a_400(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/v2/models/flights/infer", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]


async def test_with_keys_in_use_health_is_open_and_the_rest_needs_its_role(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    secrets = {"read": keys.create(file, ["read"])[0], "predict": keys.create(file, ["predict"])[0]}
    client = client_of(catalogue, file)

    def bearer(role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {secrets[role]}"}

    predict = {"json": {"instances": [{"carrier": "UA"}]}}
    infer = {"json": {"inputs": ROW}}
    assert (await client.get("/v2/health/live")).status_code == 200
    assert (await client.get("/v2/models/flights")).status_code == 401
    assert (await client.get("/v2/models/flights", headers=bearer("read"))).status_code == 200
    for path, body in (("/v2/models/flights/infer", infer), ("/v1/models/flights/predict", predict)):
        assert (await client.post(path, **body)).status_code == 401
        assert (await client.post(path, **body, headers=bearer("read"))).status_code == 403
        assert (await client.post(path, **body, headers=bearer("predict"))).status_code == 200
    assert (await client.get("/v1/models/flights")).status_code == 401
    assert (await client.get("/v1/models/flights", headers=bearer("read"))).json()["champion"] == "3"


async def test_another_version_needs_the_role_operate(catalogue: Catalogue, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    secrets = {"predict": keys.create(file, ["predict"])[0], "both": keys.create(file, ["predict", "operate"])[0]}
    client = client_of(catalogue, file)
    instances = {"instances": [{"carrier": "UA"}]}
    for version, role, status in (("3", "predict", 200), ("2", "predict", 403), ("2", "both", 404), ("x", "both", 404)):
        headers = {"authorization": f"Bearer {secrets[role]}"}
        for path, body in (
            (f"/v1/models/flights/predict?version={version}", instances),
            (f"/v2/models/flights/versions/{version}/infer", {"inputs": ROW}),
        ):
            assert (await client.post(path, json=body, headers=headers)).status_code == status


async def test_a_deadline_that_has_passed_is_a_504_and_one_that_is_none_a_400(client: httpx.AsyncClient) -> None:
    instances = {"instances": [{"carrier": "UA"}]}
    for path, body in (("/v1/models/flights/predict", instances), ("/v2/models/flights/infer", {"inputs": ROW})):
        for timeout, status in (("1e-9", 504), ("0", 400), ("soon", 400), ("nan", 400), ("30", 200)):
            response = await client.post(path, json=body, headers={"X-Request-Timeout": timeout})
            assert response.status_code == status


async def test_beyond_capacity_the_answer_is_a_quick_503(catalogue: Catalogue) -> None:
    refused = []
    answer = AnswerQuestions(TOKENS, Nobody(), Nobody(), Nobody())
    desk = Desk(
        catalogue,
        answer,
        keys.ApiKeys.load(None),
        Admission(0, 10**7, lambda: refused.append(1)),
        ThreadPoolExecutor(1),
        Elsewhere(),
    )

    @asynccontextmanager
    async def life(_: object) -> AsyncIterator[None]:
        yield

    transport = httpx.ASGITransport(api.build(desk, life, {}, lambda: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://inference") as client:
        response = await client.post("/v1/models/flights/predict", json={"instances": [{"carrier": "UA"}]})
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert refused == [1]
