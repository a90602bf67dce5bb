import json

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from pydantic import BaseModel

from http_api import problems
from http_api.problems import FieldError, Problem, ProblemError


class Order(BaseModel):
    amount: int


@pytest.fixture
def client():
    app = FastAPI()
    problems.install(app)

    @app.post("/orders", responses=problems.describe(Problem(413, "Content Too Large", "Too much.")))
    def order(order: Order, pages: int = 1) -> int:
        if order.amount == 1:
            raise ProblemError(
                Problem(409, "Conflict", "Twice.", [FieldError("again", "/amount")], {"Retry-After": "2"}, {"id": "7"})
            )
        if order.amount == 2:
            raise HTTPException(418, "short and stout")
        if order.amount == 3:
            raise RuntimeError("secret internals")
        return order.amount

    return TestClient(app, raise_server_exceptions=False)


def test_a_problem_is_answered_with_its_type_status_headers_errors_and_extensions(client):
    answer = client.post("/orders", json={"amount": 1})
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert answer.headers["retry-after"] == "2"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "Twice.",
        "instance": "/orders",
        "errors": [{"detail": "again", "pointer": "/amount"}],
        "id": "7",
    }


def test_a_field_that_does_not_fit_is_named_by_its_pointer(client):
    answer = client.post("/orders", json={"amount": "many"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/amount"


def test_a_query_parameter_that_does_not_fit_is_named(client):
    (error,) = client.post("/orders?pages=x", json={"amount": 9}).json()["errors"]
    assert error["pointer"] == ""
    assert error["detail"].startswith("query parameter pages:")


def test_broken_json_is_400(client):
    answer = client.post("/orders", content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request")


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [("GET", "/nothing", 404, "/docs"), ("GET", "/orders", 405, "use POST")],
)
def test_errors_of_the_router_are_problems_too(client, method, path, status, told):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["detail"]


def test_an_unforeseen_error_is_500_without_internals(client):
    answer = client.post("/orders", json={"amount": 3})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


def test_other_http_errors_keep_their_text(client):
    assert client.post("/orders", json={"amount": 2}).json()["detail"] == "short and stout"


def test_openapi_describes_problems_and_nothing_else_as_errors(client):
    document = client.get("/openapi.json").json()
    responses = document["paths"]["/orders"]["post"]["responses"]
    for status in ("413", "422"):
        assert list(responses[status]["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in json.dumps(document)
    assert "ProblemDocument" in document["components"]["schemas"]


def test_a_pointer_escapes_as_in_rfc_6901():
    assert problems.pointer(["a/b", "m~n", 0]) == "/a~1b/m~0n/0"
    assert problems.pointer([]) == ""


def test_lone_surrogates_of_a_client_do_not_break_the_answer():
    body = problems.response(Problem(422, "Unprocessable Content", "\ud800")).body
    assert json.loads(body)["status"] == 422
