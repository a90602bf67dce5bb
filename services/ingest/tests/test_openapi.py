"""The page describes the routes that no framework reads."""

import json

import jsonschema
import pytest

from flywheel_schemas.events import FeedbackRequest

from .conftest import example

SINGLE, BATCH = "/v1/feedback", "/v1/feedback/batch"


@pytest.fixture
async def document(service):
    return (await service.client.get("/openapi.json")).json()


def schema_of(document, name):
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


async def test_every_operation_of_the_service_is_described(document):
    described = {(path, method) for path, operations in document["paths"].items() for method in operations}
    assert described == {
        (SINGLE, "post"),
        (BATCH, "post"),
        ("/v1/feedback/{event_id}", "get"),
        ("/v1/users/{user_id}/feedback", "delete"),
        ("/v1/models/{model}/label", "get"),
        ("/assets/feedback/v1/manifest.json", "get"),
    }


async def test_no_reference_leads_nowhere(document):
    text = json.dumps(document)
    for part in text.split('"$ref": "#/components/schemas/')[1:]:
        assert part.split('"')[0] in document["components"]["schemas"]


async def test_the_examples_are_feedback(document):
    examples = document["paths"][SINGLE]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert set(examples) == {"correction", "confirmation", "example", "rating"}
    for each in examples.values():
        FeedbackRequest.model_validate_json(json.dumps(each["value"]))
        jsonschema.validate(each["value"], schema_of(document, "FeedbackRequest"))


async def test_every_kind_of_refusal_has_an_example_that_is_a_problem(document):
    responses = document["paths"][SINGLE]["post"]["responses"]
    assert set(responses) == {"202", "400", "401", "403", "404", "413", "415", "422", "429", "503"}
    for status, told in responses.items():
        if status != "202":
            for each in told["content"]["application/problem+json"]["examples"].values():
                jsonschema.validate(each["value"], schema_of(document, "ProblemDocument"))
                assert each["value"]["status"] == int(status)


async def test_real_answers_fit_their_description(service, document):
    answers = [
        (await service.post(example()), "AcceptedBody"),
        (await service.post(example(label="tardy")), "ProblemDocument"),
        (await service.batch([example(), example(label="tardy")]), "BatchBody"),
    ]
    for answer, name in answers:
        jsonschema.validate(answer.json(), schema_of(document, name))


async def test_asking_twice_gives_the_same(service, document):
    assert (await service.client.get("/openapi.json")).json() == document
