"""Bad data and erased data on real servers: a processor, a trainer, a broker, a lake and a registry."""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from features.profile import Fence, Profile
from kafka_runtime.publisher import Publisher
from lake import locate, profiles, read
from lake.pins import Pins
from registry.runs import Outcome
from tests.integration.processor_bench import NOW
from tests.waiting import until
from trainer.adapters.datasets import LakeDatasets
from trainer.adapters.erasures import LakeErasures
from trainer.adapters.quarantine import LakeQuarantine
from trainer.application.erase import Erase
from trainer.application.quarantine import Quarantine

ALICE, BOB = "a" * 32, "b" * 32


def send(bench: Any, user: str | None, *distances: float, received_at: str = NOW) -> list[str]:
    ids = []
    for distance in distances:
        event = {
            "event_id": str(uuid.uuid4()), "model": bench.model, "kind": "example", "source": "t", "label": "late",
            "features": {"distance": distance}, "occurred_at": received_at, "received_at": received_at,
        }  # fmt: skip
        bench._produce(event["event_id"], json.dumps(event | ({"user_hash": user} if user else {})).encode())
        ids.append(str(event["event_id"]))
    assert bench.producer.flush(30) == 0
    return ids


def rows(bench: Any, kind: Any) -> dict[str, dict[str, Any]]:
    table = bench.lake.table(bench.model, kind)
    return {row["event_id"]: row for row in read.collect(read.scan(table), "").to_dicts()} if table.exists() else {}


def settled(lake: Any, registry: Any) -> Erase:
    """Erasures as they go a minute after they were asked for."""
    return Erase(LakeErasures(lake), registry, registry.run_store, lambda: datetime.now(UTC) + timedelta(minutes=1))


def test_an_outlier_is_kept_apart_and_a_release_lands_exactly_once(bench: Any) -> None:
    profiles.put(bench.lake.objects, bench.model, Profile({"distance": Fence(0.0, 100.0)}).encode())
    good, odd = send(bench, None, 50.0, 60.0), send(bench, None, 5000.0)
    bench.start()
    until(lambda: bench.ids("feedback") == Counter(good) and bench.ids("quarantine") == Counter(odd))
    assert rows(bench, "quarantine")[odd[0]]["score"] == pytest.approx(49.0)
    spec = bench.lake.specs.get(bench.model)
    events = LakeQuarantine(bench.lake, Publisher(bench.kafka, "/test"), lambda _: spec)
    quarantine = Quarantine(events, lambda: datetime.now(UTC))
    (held,) = quarantine.list(bench.model, "held", 10)
    assert (held.event_id, held.where) == (odd[0], "arrival")
    for _ in range(3):
        quarantine.release(bench.model, odd[0], "ann", "a real flight")
    last = send(bench, None, 70.0)
    until(lambda: bench.acknowledged() and last[0] in bench.ids("feedback"))
    assert bench.ids("feedback") == Counter([*good, *odd, *last])
    found = locate.find_event(bench.lake, odd[0], [bench.model])
    assert found is not None
    assert found.status == "stored"
    (released,) = quarantine.list(bench.model, None, 10)
    assert released.decision is not None
    assert (released.status, released.decision.who) == ("released", "ann")


def test_a_user_is_erased_while_feedback_comes_in_and_a_replay_does_not_bring_it_back(bench: Any, lab: Any) -> None:
    bench.start()
    mine, others = send(bench, ALICE, *[1.0] * 20), send(bench, BOB, *[2.0] * 20)
    misfit = send(bench, ALICE, -1.0)
    until(lambda: sum(bench.ids("feedback").values()) == 40 and bench.ids("quarantine") == Counter(misfit))
    before = datetime.now(UTC).isoformat()
    stone = bench.lake.erasures.ask(ALICE, uuid.uuid4(), datetime.now(UTC), "ann")
    found = locate.find_event(bench.lake, mine[0], [bench.model])
    assert found is not None
    assert found.status == "erased"
    erase = settled(bench.lake, lab.registry)
    until(lambda: erase() == 1)
    (record,) = bench.lake.erasures.records()
    assert record.rows[bench.model]["feedback"] == 21
    assert ALICE not in str(record)
    assert bench.ids("feedback") == Counter(others)
    # Here the erasure was completed a minute too early, so give the processor the seconds in which it hears of it.
    until(lambda: stone.erased_before < datetime.now(UTC) - timedelta(seconds=6))
    late = send(bench, ALICE, 3.0, received_at=before)
    later = send(bench, ALICE, 4.0, received_at=(datetime.now(UTC) + timedelta(seconds=5)).isoformat())
    until(lambda: later[0] in bench.ids("feedback") and bench.acknowledged())
    assert bench.ids("feedback") == Counter([*others, *later])
    markers = rows(bench, "quarantine")
    assert set(markers) == {*mine, *misfit, *late}
    assert {(row["reason"], row["record"]) for row in markers.values()} == {("erased", stone.marker)}
    raw = b"".join(bench.lake.objects.get(key) or b"" for key in bench.lake.objects.list("_flywheel/erasures/"))
    assert ALICE.encode() not in raw


def test_an_erasure_in_the_middle_of_a_training_reaches_the_set_that_it_pins(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.world.base()
    lab.add()
    kept, erased = lab.world.corrections(2500), lab.world.corrections(400, user=ALICE)
    erase = settled(lab.world.lake, lab.registry)
    keep, rounds = LakeDatasets.keep, []

    def asked_meanwhile(self: Any, *arguments: Any) -> str:
        lab.world.lake.erasures.ask(ALICE, uuid.uuid4(), datetime.now(UTC), "ann")
        rounds.extend([erase(), erase()])
        return keep(self, *arguments)

    monkeypatch.setattr(LakeDatasets, "keep", asked_meanwhile)
    assert lab.retrain(lab.world.trigger()) is Outcome.PROMOTED
    monkeypatch.undo()
    assert rounds == [0, 0]
    version = lab.registry.champion(lab.model)
    key = f"{lab.model}/_flywheel/training_sets/{version.training_set_hash}.parquet"
    assert set(pl.read_parquet(lab.world.lake.objects.get(key))["event_id"].drop_nulls()) >= set(erased)
    assert [erase(), erase()] == [0, 1]
    assert set(pl.read_parquet(lab.world.lake.objects.get(key))["event_id"].drop_nulls()) == set(kept)
    assert not any(Pins(lab.world.lake, lab.model).holds(version.training_set_hash, one) for one in erased[:5])
    assert Pins(lab.world.lake, lab.model).holds(version.training_set_hash, kept[0])
    assert lab.registry.version(lab.model, version.version).erased_rows == 400
    (record,) = lab.world.lake.erasures.records()
    assert record.versions == {lab.model: [version.version]}
    assert record.rows[lab.model] == {"feedback": 400, "predictions": 400}
    told = lab.trainer.reproduce(lab.model, version.version)
    assert not told.identical
    assert "erased" in told.differences[0]
    assert lab.retrain(lab.world.trigger()) in {Outcome.PROMOTED, Outcome.REJECTED}
    newest = lab.registry.versions(lab.model)[-1]
    rows_now = lab.world.lake.objects.get(f"{lab.model}/_flywheel/training_sets/{newest.training_set_hash}.parquet")
    assert not set(pl.read_parquet(rows_now)["event_id"].drop_nulls()) & set(erased)
