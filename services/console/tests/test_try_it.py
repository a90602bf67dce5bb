"""Asking a model in the console."""

from console.application.ports import NotAllowed

from .conftest import client


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
