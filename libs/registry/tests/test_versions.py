from datetime import UTC, datetime
from pathlib import Path

from flywheel_schemas.events import GateReport
from registry.versions import Candidate, StateChange, VersionState, tags_of, version_from


def a_candidate(*, passed: bool = True) -> Candidate:
    gate = GateReport(name="metric", passed=passed, figures={"gain": 0.01}, reason="0.70 against 0.69")
    return Candidate(
        model="flights",
        run_id="run-1",
        folder=Path("/nowhere"),
        artifact_sha256="ab" * 32,
        trigger_id="11111111-1111-5111-8111-111111111111",
        training_set_hash="cd" * 32,
        dataset_versions={"base": 0, "feedback": 7},
        metrics={"holdout.auc": 0.7},
        gates=(gate,),
        git_commit="0123abc",
        reason="2000 new labelled rows",
    )


def mlflow_entry(tags: dict[str, str]) -> dict[str, object]:
    listed = [{"key": key, "value": value} for key, value in tags.items()]
    return {
        "name": "flights",
        "version": "3",
        "run_id": "run-1",
        "creation_timestamp": 1_700_000_000_000,
        "tags": listed,
    }


def test_a_version_reads_back_everything_that_its_candidate_said() -> None:
    candidate = a_candidate()
    version = version_from(mlflow_entry(tags_of(candidate, "s3://mlflow/flights/models/m-1/artifacts")))
    assert version is not None
    assert version.state is VersionState.REGISTERED
    assert version.traffic_percent == 0.0
    assert version.dataset_versions == candidate.dataset_versions
    assert version.metrics == candidate.metrics
    assert list(version.gates) == list(candidate.gates)
    assert version.trigger_id == candidate.trigger_id
    assert version.artifact_uri == "s3://mlflow/flights/models/m-1/artifacts"
    assert version.created_at == datetime.fromtimestamp(1_700_000_000, UTC)


def test_a_candidate_passes_only_when_every_gate_does() -> None:
    assert a_candidate().passed
    assert not a_candidate(passed=False).passed


def test_a_version_that_someone_else_registered_is_passed_over() -> None:
    assert version_from(mlflow_entry({"team": "search"})) is None


def test_a_state_change_reads_back_as_it_was() -> None:
    change = StateChange(VersionState.PROMOTED, 100.0, datetime(2026, 3, 1, tzinfo=UTC), "anna", "better by 0.01")
    assert StateChange.decode(change.encode()) == change
