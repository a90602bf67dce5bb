"""The trainer against a real broker, lake and registry: from a trigger to a version, exactly once."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import mlflow
import polars as pl
import pytest

from flywheel_schemas.events import ModelAction
from registry import UnknownVersion, VersionState
from registry.runs import Outcome
from trainer.adapters.models import TRAINING_FILE
from trainer.domain.errors import NotAllowed
from trainer.settings import Settings

Lab = Any
GATES = ("metric", "worst_slice", "calibration", "size", "latency", "compatibility")


def test_a_model_that_is_added_becomes_the_first_champion(lab: Lab, tmp_path: Path) -> None:
    lab.world.base()
    assert lab.add() is Outcome.PROMOTED
    champion = lab.registry.champion(lab.model)
    assert champion is not None
    assert (champion.version, champion.state, champion.traffic_percent) == ("1", VersionState.PROMOTED, 100.0)
    assert champion.trigger_id is None
    assert champion.git_commit
    assert champion.metrics["judged.auc"] > 0.85
    assert {gate.name for gate in champion.gates} == set(GATES)
    assert champion.artifact_uri.startswith("s3://")
    fetched = lab.registry.artifacts.fetch(champion.artifact_uri, tmp_path, champion.artifact_sha256)
    assert (fetched / "model.txt").read_text().startswith("tree")
    event = lab.latest()
    assert event is not None
    assert (event.action, event.model_version, event.champion) == (ModelAction.PROMOTED, "1", "1")
    assert (event.artifact_uri, event.artifact_sha256) == (champion.artifact_uri, champion.artifact_sha256)
    note = lab.world.lake.objects.get(f"{lab.model}/_flywheel/versions/1.json")
    assert note is not None
    assert champion.training_set_hash.encode() in note


def test_a_trigger_leads_to_a_better_champion_and_says_where_it_comes_from(lab: Lab) -> None:
    lab.world.base()
    lab.add()
    events = lab.world.corrections()
    trigger = lab.world.trigger()
    assert lab.retrain(trigger) is Outcome.PROMOTED
    champion = lab.registry.champion(lab.model)
    assert champion is not None
    assert champion.version == "2"
    assert champion.trigger_id == str(trigger.trigger_id)
    assert champion.judged_against == "1"
    assert champion.previous_champion == "1"
    assert set(champion.dataset_versions) == {"base", "feedback", "predictions"}
    assert champion.metrics["judged.auc"] > champion.metrics["champion.auc"] + 0.1
    assert lab.registry.version(lab.model, "1").state is VersionState.RETIRED
    raw = lab.world.lake.objects.get(f"{lab.model}/_flywheel/training_sets/{champion.training_set_hash}.parquet")
    assert raw is not None
    pinned = pl.read_parquet(raw)
    assert set(pinned["event_id"].drop_nulls()) == set(events)
    assert set(pinned["_origin"]) == {"base", "feedback"}
    holdout = pinned.filter(pl.col("_split") == "holdout")
    assert set(holdout["_origin"]) == {"feedback"}
    assert holdout["occurred_at"].min() >= pinned.filter(pl.col("_split") == "train")["occurred_at"].max()
    event = lab.latest()
    assert event is not None
    assert (event.action, event.model_version, event.previous_version) == (ModelAction.PROMOTED, "2", "1")
    assert event.trigger_id == trigger.trigger_id


def test_a_trigger_that_is_announced_twice_trains_once(lab: Lab) -> None:
    lab.world.base()
    lab.add()
    lab.world.corrections()
    trigger = lab.world.trigger()
    assert lab.retrain(trigger) is Outcome.PROMOTED
    assert lab.retrain(trigger) is Outcome.PROMOTED
    assert [version.version for version in lab.registry.versions(lab.model)] == ["1", "2"]
    runs = [run for run in lab.registry.runs(lab.model) if run.trigger_id]
    assert [(run.trigger_id, run.outcome) for run in runs] == [(str(trigger.trigger_id), Outcome.PROMOTED)]


def test_of_triggers_that_wait_only_the_newest_trains(lab: Lab) -> None:
    lab.world.base()
    lab.add()
    lab.world.corrections()
    first, second = lab.world.trigger(), lab.world.trigger()
    assert lab.retrain(first) is Outcome.SUPERSEDED
    assert lab.retrain(second) is Outcome.PROMOTED
    assert lab.retrain(first) is Outcome.SUPERSEDED
    run = lab.registry.run_for_trigger(lab.model, str(first.trigger_id))
    assert run is not None
    assert str(second.trigger_id) in run.reason


def test_a_rejected_candidate_is_registered_with_its_reasons_and_the_champion_serves_on(lab: Lab) -> None:
    lab.world.base()
    lab.add()
    lab.world.corrections()
    strict = lab.world.spec.model_copy(update={"gates": lab.world.spec.gates.model_copy(update={"min_gain": 0.9})})
    lab.world.lake.specs.put(strict)
    assert lab.retrain(lab.world.trigger()) is Outcome.REJECTED
    rejected = lab.registry.version(lab.model, "2")
    assert rejected.state is VersionState.REJECTED
    assert "needed +0.9000" in rejected.reason
    champion = lab.registry.champion(lab.model)
    assert champion is not None
    assert champion.version == "1"
    event = lab.latest()
    assert event is not None
    assert (event.action, event.model_version, event.champion) == (ModelAction.REJECTED, "2", "1")
    assert event.champion_artifact_uri == champion.artifact_uri
    with pytest.raises(NotAllowed, match="force"):
        lab.trainer.rollout.promote(lab.model, "2", "we want it", "anna", force=False)
    lab.trainer.rollout.promote(lab.model, "2", "we want it", "anna", force=True)
    assert lab.registry.champion(lab.model) == lab.registry.version(lab.model, "2")


def test_a_retraining_without_new_feedback_is_rejected(lab: Lab) -> None:
    lab.world.base()
    lab.add()
    assert lab.retrain(lab.world.trigger()) is Outcome.REJECTED
    assert "has not learned from" in lab.registry.version(lab.model, "2").reason


def test_a_rollback_puts_the_previous_champion_back_and_history_says_who_and_why(lab: Lab) -> None:
    lab.world.base()
    lab.add()
    lab.world.corrections()
    lab.retrain(lab.world.trigger())
    lab.trainer.rollout.rollback(lab.model, None, "customers complain", "anna")
    first, second = lab.registry.versions(lab.model)
    assert lab.registry.champion(lab.model) == first
    assert second.state is VersionState.ROLLED_BACK
    assert [change.state.value for change in first.history] == ["promoted", "retired", "promoted"]
    assert (first.history[-1].who, first.history[-1].reason) == ("anna", "customers complain")
    event = lab.latest()
    assert event is not None
    assert (event.action, event.model_version, event.champion) == (ModelAction.ROLLED_BACK, "2", "1")
    assert (event.champion_artifact_uri, event.previous_version) == (first.artifact_uri, "2")
    with pytest.raises(NotAllowed, match="first champion"):
        lab.trainer.rollout.rollback(lab.model, None, "again", "anna")
    with pytest.raises(UnknownVersion):
        lab.trainer.rollout.rollback(lab.model, "9", "again", "anna")


def test_a_version_comes_out_byte_for_byte_when_it_is_trained_again(lab: Lab) -> None:
    lab.world.base()
    lab.add()
    lab.world.corrections()
    lab.retrain(lab.world.trigger())
    for version in ("1", "2"):
        found = lab.trainer.reproduce(lab.model, version)
        assert found.identical, found.differences


def test_a_version_that_comes_out_otherwise_says_what_differs(lab: Lab) -> None:
    lab.world.base()
    lab.add()
    champion = lab.registry.champion(lab.model)
    assert champion is not None
    key = f"{lab.model}/_flywheel/training_sets/{champion.training_set_hash}.parquet"
    rows = pl.read_parquet(lab.world.lake.objects.get(key))
    content = BytesIO()
    rows.with_columns(pl.col("label").reverse()).write_parquet(content)
    lab.world.lake.objects.put(key, content.getvalue())
    folder = champion.artifact_uri
    record = json.loads(lab.registry.artifacts.get(folder, TRAINING_FILE))
    record["libraries"]["lightgbm"] = "4.0.0"
    record["parameters"]["num_leaves"] = 4
    lab.registry.artifacts.put_all(folder, {TRAINING_FILE: json.dumps(record).encode()})
    found = lab.trainer.reproduce(lab.model, "1")
    assert not found.identical
    assert {said.partition(":")[0] for said in found.differences} >= {"data", "parameter", "library", "model"}
    assert "parameter: num_leaves 4 now, 15 when it was registered" in found.differences
    assert any(said.endswith("4.0.0 when it was registered") for said in found.differences)


def test_what_mlflow_loads_answers_like_the_registered_text(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.world.base()
    lab.add()
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", str(Settings().registry.s3_endpoint_url))
    mlflow.set_tracking_uri(Settings().registry.mlflow_tracking_uri)
    loaded = mlflow.pyfunc.load_model(f"models:/{lab.model}@champion")
    answers = loaded.predict(loaded.input_example)
    assert set(answers.columns) == {"label", "score_on_time", "score_late"}
    champion = lab.registry.champion(lab.model)
    assert champion is not None
    run = mlflow.get_run(champion.run_id)
    assert run.inputs.dataset_inputs[0].dataset.digest == champion.training_set_hash[:36]
    listed = {
        file.path
        for folder in ("gates", "plots")
        for file in mlflow.artifacts.list_artifacts(run_id=champion.run_id, artifact_path=folder)
    }
    assert {"gates/report.json", "gates/judged_model.txt", "plots/roc.png", "plots/reliability.png"} <= listed
