"""The load is what it says: good feedback that is good, and poison that is."""

import random

import pytest
from pydantic import ValidationError

from flywheel_schemas.events import Feedback, FeedbackRequest, Prediction
from flywheel_schemas.spec import parse_spec
from tests.chaos import traffic


def test_the_spec_is_valid_and_its_base_fits() -> None:
    spec = parse_spec(traffic.SPEC)
    header, *rows = traffic.base_csv(random.Random(0)).splitlines()
    assert header.split(",") == [*spec.feature_names, spec.label.name]
    assert {row.split(",")[-1] for row in rows} == set(spec.classes)


def test_feedback_and_predictions_are_such_as_clients_and_inference_send() -> None:
    rng = random.Random(1)
    kinds = set()
    for _ in range(200):
        kinds.add(FeedbackRequest.model_validate(traffic.feedback(rng, traffic.new_id(rng)), strict=False).kind)
        prediction_id = traffic.new_id(rng)
        assert str(Prediction.parse(traffic.prediction(rng, prediction_id)).prediction_id) == prediction_id
    assert kinds == {"example", "correction", "rating"}


def test_poison_cannot_be_read_or_does_not_fit_and_every_sort_comes_up() -> None:
    rng = random.Random(2)
    unreadable = readable = 0
    for _ in range(400):
        key = traffic.new_id(rng)
        try:
            event = Feedback.parse(traffic.poison(rng, key))
        except ValidationError:
            unreadable += 1
        else:
            readable += 1
            assert str(event.event_id) == key
    assert unreadable > 200
    assert readable > 50


@pytest.mark.parametrize("seed", range(3))
def test_a_seed_gives_the_same_load_again(seed: int) -> None:
    one, other = (traffic.feedback(random.Random(seed), "id") for _ in range(2))
    assert one == other
