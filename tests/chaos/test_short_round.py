"""A short round of `make chaos`: the processor is killed under load, and the account must balance."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel_local.stack import Stack
from tests.chaos import staging
from tests.chaos.harness import Harness, Plan

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

_FAULTS = ("processor_killed", "processor_killed_before_commit")


@pytest.fixture
def stack_of_our_own(tmp_path: Path) -> Iterator[Stack]:
    """Kafka and S3 that may be harmed; no MLflow, for nothing is trained here."""
    with Stack(tmp_path, given={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}).while_in_use() as owned:
        staging.prepare(owned, _FAULTS)
        yield owned


def test_every_acknowledged_event_is_in_exactly_one_place_whenever_the_processor_dies(stack_of_our_own: Stack) -> None:
    harness = Harness(stack_of_our_own, Plan(_FAULTS, repeats=1, warm_up_s=2.0), ask_inference=False)
    for outcome in harness.outcomes():
        assert outcome.balanced, outcome.rows()[0].note
        for account in (outcome.feedback, outcome.predictions):
            assert account.acknowledged > 50
            assert account.found["dataset"] > 50
        assert outcome.feedback.found["dead letters"] > 0
        assert outcome.feedback.found["quarantine"] > 0
    assert harness.duplicates_sent > 20
