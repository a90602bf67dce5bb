"""The trainer against a real broker, lake and registry: from a trigger to a version, exactly once."""

import dataclasses
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from deltalake import CommitProperties
from flywheel_schemas.events import ModelAction, ModelUpdated, ThresholdReached, TriggerReason
from flywheel_schemas.spec import ModelSpec, parse_spec
from kafka_runtime import topics
from lake import Lake, schema
from lake.triggers import TriggerLog, trigger_id
from registry import Registry, UnknownVersion, VersionState
from registry.runs import Outcome
from trainer.application.train import Request
from trainer.domain.errors import NotAllowed
from trainer.settings import Settings
from trainer.wiring import Clients, Trainer, build

START = datetime(2026, 1, 1, tzinfo=UTC)


def a_spec(name: str, **training: Any) -> ModelSpec:
    return parse_spec(
        f"""
        name: {name}
        task: binary
        label: {{name: late, values: [on_time, late], positive: late}}
        features:
          - {{name: carrier, type: category, values: [UA, AA, B6]}}
          - {{name: distance, type: number, range: [0, 10], required: true}}
          - {{name: hour, type: number}}
        training: {{rounds: 60, params: {training or {"num_leaves": 15}}}}
        gates: {{max_latency: 500ms}}
        """.replace("'", "")
    )


class World:
    """A model's data in a lake of its own. Late flights depend on distance first, and on the hour after the world turned."""

    def __init__(self, lake: Lake, spec: ModelSpec) -> None:
        self.lake, self.spec = lake, spec
        self._random = np.random.default_rng(7)
        lake.ensure_bucket()
        lake.specs.put(spec)

    def flights(self, n: int, *, turned: bool) -> dict[str, Any]:
        columns = {
            "carrier": self._random.choice(["UA", "AA", "B6"], n),
            "distance": self._random.random(n) * 10,
            "hour": self._random.random(n) * 24,
        }
        late = (columns["hour"] > 12) if turned else (columns["distance"] > 5)
        flipped = self._random.random(n) < 0.1
        return {**columns, "label": np.where(late != flipped, "late", "on_time")}

    def base(self, n: int = 4000) -> None:
        times = [START + timedelta(minutes=i) for i in range(n)]
        rows = pa.table({**self.flights(n, turned=False), "occurred_at": times})
        self.lake.table(self.spec.name, "base").replace(rows.cast(schema.base(self.spec)))

    def corrections(self, n: int = 3000, *, day: int = 30) -> list[str]:
        """Predictions of a world that has turned, each corrected an hour later; their event ids."""
        flights = self.flights(n, turned=True)
        label = flights.pop("label")
        asked = [START + timedelta(days=day, seconds=i) for i in range(n)]
        said = [moment + timedelta(hours=1) for moment in asked]
        prediction_ids = [str(uuid.uuid4()) for _ in range(n)]
        event_ids = [str(uuid.uuid4()) for _ in range(n)]
        predicted = self._random.choice(["late", "on_time"], n)
        common = {"prediction_id": prediction_ids, "model_version": ["1"] * n, "variant": ["champion"] * n}
        common |= {"predicted": predicted, "audited": self._random.random(n) < 0.1}
        self._append("predictions", {**flights, **common, "latency_ms": np.ones(n)}, asked, asked)
        teaching = {"event_id": event_ids, "label": label, "kind": ["correction"] * n, "source": ["test"] * n}
        self._append("feedback", {**common, **teaching}, said, said)
        return event_ids

    def _append(self, kind: Any, columns: dict[str, Any], occurred: list[datetime], received: list[datetime]) -> None:
        wanted = schema.of(kind, self.spec)
        n = len(occurred)
        given = {**columns, "occurred_at": occurred, "received_at": received}
        given |= {"event_date": [moment.date() for moment in received]}
        arrays = [
            pa.array(given[field.name], field.type) if field.name in given else pa.nulls(n, field.type)
            for field in wanted
        ]
        table = self.lake.table(self.spec.name, kind)
        table.ensure(wanted)
        table.append(table.snapshot(fresh=True), pa.Table.from_arrays(arrays, schema=wanted), CommitProperties())

    def trigger(self, *, logged: bool = True) -> ThresholdReached:
        log = TriggerLog(self.lake, self.spec.name)
        newest = log.newest()
        number = newest.n + 1 if newest else 0
        trigger = ThresholdReached(
            trigger_id=trigger_id(self.spec.name, number),
            model=self.spec.name,
            reason=TriggerReason.COUNT,
            dataset_version=1,
            observed=3000,
            threshold=2000,
            occurred_at=datetime.now(UTC),
        )
        if logged:
            assert log.append(number, trigger)
        return trigger


@dataclasses.dataclass
class Lab:
    world: World
    trainer: Trainer
    registry: Registry
    latest: Callable[[], ModelUpdated | None]

    @property
    def model(self) -> str:
        return self.world.spec.name

    def add(self) -> Outcome:
        return self.trainer.train.handle(Request(self.model, "model added"))

    def retrain(self, trigger: ThresholdReached) -> Outcome:
        return self.trainer.train.handle(Request(self.model, "2000 new rows", trigger))


@pytest.fixture
def lab(fresh_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    for name, value in fresh_env.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    topics.ensure(settings.kafka)
    held: list[Clients] = []

    def keep(real: Clients) -> Clients:
        held.append(real)
        return real

    trainer = build(settings, replace=keep)
    world = World(Lake(settings.lake), a_spec(f"t-{uuid.uuid4().hex[:12]}"))
    model = world.spec.name
    yield Lab(world, trainer, held[0].registry, lambda: held[0].announcements.latest().get(model))
    held[0].registry.close()


def test_a_model_that_is_added_becomes_the_first_champion(lab: Lab, tmp_path: Path) -> None:
    lab.world.base()
    assert lab.add() is Outcome.PROMOTED
    champion = lab.registry.champion(lab.model)
    assert champion is not None
    assert (champion.version, champion.state, champion.traffic_percent) == ("1", VersionState.PROMOTED, 100.0)
    assert champion.trigger_id is None
    assert champion.metrics["judged.auc"] > 0.85
    assert {gate.name for gate in champion.gates} == {"metric", "worst_slice", "latency", "compatibility"}
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
    assert (second.state, second.rolled_back_to) == (VersionState.ROLLED_BACK, "1")
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
