from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flywheel_schemas.events import ModelAction, ModelUpdated, Variant
from inference.domain.claims import Claim, claim_of, event_wins, registry_wins
from inference.domain.states import LoadState, ModelStatus, Sources, readiness
from inference.domain.variants import Traffic, choose_variant

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HEARD = Sources(registry_problem=None, topic_problem=None, asked=True)


def event(**fields: Any) -> ModelUpdated:
    defaults = {
        "model": "flights",
        "model_version": "3",
        "action": ModelAction.PROMOTED,
        "traffic_percent": 100.0,
        "run_id": "r",
        "training_set_hash": "h",
        "artifact_uri": "s3://b/3",
        "artifact_sha256": "abc",
        "occurred_at": NOON,
    }
    return ModelUpdated(**{**defaults, **fields})


def claim(version: str, minutes: int = 0) -> Claim:
    return Claim("flights", version, NOON + timedelta(minutes=minutes), None)


def test_a_promotion_claims_its_own_version_and_says_where_it_lies() -> None:
    found = claim_of(event())
    assert found is not None
    assert (found.version, found.artifact and found.artifact.uri) == ("3", "s3://b/3")


def test_a_rejected_version_names_the_champion_and_where_it_lies() -> None:
    place = {"champion_artifact_uri": "s3://b/2", "champion_artifact_sha256": "def"}
    found = claim_of(event(action=ModelAction.REJECTED, champion="2", **place))
    assert found is not None
    assert found.artifact is not None
    assert (found.version, found.artifact.uri, found.artifact.sha256) == ("2", "s3://b/2", "def")


def test_an_event_that_does_not_place_the_champion_leaves_its_place_open() -> None:
    found = claim_of(event(action=ModelAction.REJECTED, champion="2"))
    assert found is not None
    assert (found.version, found.artifact) == ("2", None)


def test_a_registered_version_alone_says_nothing_of_who_serves() -> None:
    assert claim_of(event(action=ModelAction.REGISTERED)) is None


def test_a_rollback_without_a_champion_goes_to_the_version_before() -> None:
    found = claim_of(event(action=ModelAction.ROLLED_BACK, previous_version="2"))
    assert found is not None
    assert found.version == "2"


def test_a_registry_that_repeats_itself_does_not_undo_an_event() -> None:
    assert not registry_wins(claim("3"), last_seen="3", standing=claim("2", 5))


def test_a_registry_that_says_something_new_wins() -> None:
    assert registry_wins(claim("4"), last_seen="3", standing=claim("3", 5))


def test_the_registry_heard_for_the_first_time_wins_unless_it_is_older() -> None:
    assert registry_wins(claim("3", 1), last_seen=None, standing=claim("2"))
    assert not registry_wins(claim("3"), last_seen=None, standing=claim("2", 1))
    assert registry_wins(claim("3"), last_seen=None, standing=None)


def test_an_event_replayed_from_before_the_start_yields_to_a_younger_claim_and_a_live_one_never_does() -> None:
    assert not event_wins(claim("2"), live=False, standing=claim("3", 1))
    assert event_wins(claim("2", 2), live=False, standing=claim("3", 1))
    assert event_wins(claim("2"), live=True, standing=claim("3", 1))


def test_a_process_that_has_asked_nobody_yet_is_not_ready() -> None:
    assert "starting" in str(readiness(Sources(), []))


def test_no_model_at_all_is_ready_once_one_source_has_said_so() -> None:
    assert readiness(HEARD, []) is None
    assert readiness(Sources(registry_problem="is down", topic_problem=None, asked=True), []) is None


def test_without_any_source_a_copy_on_disk_is_enough_and_nothing_is_not() -> None:
    silent = Sources(registry_problem="is down", topic_problem="is unread", asked=True)
    assert readiness(silent, [ModelStatus("m", "1", "1", LoadState.CHAMPION)]) is None
    reason = str(readiness(silent, []))
    assert "is down" in reason
    assert "is unread" in reason
    assert "INFERENCE_CACHE_DIR" in reason


def test_a_swap_in_progress_stays_ready_and_a_refused_version_is_told() -> None:
    assert readiness(HEARD, [ModelStatus("m", "2", "1", LoadState.LOADING)]) is None
    assert "loaded" in str(readiness(HEARD, [ModelStatus("m", "2", None, LoadState.LOADING)]))
    refused = ModelStatus("m", "2", "1", LoadState.REFUSED, "refused (corrupt)")
    assert readiness(HEARD, [refused]) == "m version 2: refused (corrupt); version 1 serves instead"


def test_without_a_challenger_everybody_gets_the_champion() -> None:
    assert {choose_variant(Traffic("m"), str(unit)) for unit in range(100)} == {Variant.CHAMPION}


@pytest.mark.parametrize(("less", "more"), [(5.0, 25.0), (25.0, 50.0)])
def test_a_growing_share_only_adds_units(less: float, more: float) -> None:
    units = [f"user-{number}" for number in range(4000)]
    before = {u for u in units if choose_variant(Traffic("m", less), u) is Variant.CHALLENGER}
    after = {u for u in units if choose_variant(Traffic("m", more), u) is Variant.CHALLENGER}
    assert before < after
    assert abs(len(after) / len(units) - more / 100) < 0.03
