"""The quarantine in the lake: what was kept apart on arrival, what at training, and `decisions` about both."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import polars as pl
from typing_extensions import override

from features import FeatureSchema
from flywheel_schemas.events import Feedback
from flywheel_schemas.spec import ModelSpec
from flywheel_schemas.topics import FEEDBACK_EVENTS
from kafka_runtime import cloud_events
from kafka_runtime.publisher import Publisher
from lake import Lake, read
from lake.objects import Objects
from lake.rollback import ROLLED_BACK
from trainer.application.quarantine import HeldEvents
from trainer.domain.quarantine import Decision, Held

# The processor stores a record that bears it without a look at its values.
RELEASED_BY = "flywheel_released_by"


class LakeQuarantine(HeldEvents):
    """Reads `{model}/quarantine` and `{model}/_flywheel/held.parquet`; decisions are objects that are written once."""

    def __init__(self, lake: Lake, publisher: Publisher, spec: Callable[[str], ModelSpec]) -> None:
        self._lake = lake
        self._publisher = publisher
        self._spec = spec

    @override
    def all(self, model: str) -> list[Held]:
        decided_on = decisions(self._lake.objects, model)
        found = {held.event_id: held for held in (*self._at_training(model), *self._on_arrival(model, None))}
        decided = (_with(held, decided_on.get(event_id)) for event_id, held in found.items())
        return sorted(decided, key=lambda held: (held.received_at, held.event_id), reverse=True)

    @override
    def one(self, model: str, event_id: str) -> Held | None:
        found = self._on_arrival(model, event_id) or [
            held for held in self._at_training(model) if held.event_id == event_id
        ]
        return _with(found[0], _decision(self._lake.objects, model, event_id)) if found else None

    @override
    def decide(self, model: str, event_id: str, decision: Decision) -> Decision:
        said = {"verb": decision.verb, "who": decision.who, "at": decision.at.isoformat(), "why": decision.why}
        self._lake.objects.put_if_absent(_decision_key(model, event_id), json.dumps(said).encode())
        return _decision(self._lake.objects, model, event_id) or decision

    @override
    def misfit(self, model: str, held: Held) -> str | None:
        spec = self._spec(model)
        event = Feedback.parse((held.record or "").encode())
        if found := FeatureSchema(spec).violations(event.features or {}) if event.features is not None else []:
            return "; ".join(f"features{problem.pointer}: {problem.detail}" for problem in found[:5])
        if event.label is not None and spec.classes and event.label not in spec.classes:
            return f"label: {event.label!r:.80} is none of {', '.join(spec.classes[:20])}"
        low_high = spec.label.range
        if low_high and isinstance(event.label, float) and not low_high[0] <= event.label <= low_high[1]:
            return f"label: {event.label:g} lies outside {low_high[0]:g} to {low_high[1]:g}"
        return None

    @override
    def resend(self, model: str, held: Held, who: str) -> None:
        event = Feedback.parse((held.record or "").encode())
        event_id = str(event.event_id)
        headers = cloud_events.headers(FEEDBACK_EVENTS, event_id, "/flywheel/trainer", datetime.now(UTC), None)
        marked = [*headers, (RELEASED_BY, who.encode())]
        self._publisher.send_and_wait(FEEDBACK_EVENTS, event_id.encode(), event.encode(), marked)

    def _on_arrival(self, model: str, event_id: str | None) -> list[Held]:
        table = self._lake.table(model, "quarantine")
        if not table.exists():
            return []
        # What a rollback took out of the dataset comes back by a rollback, not one by one.
        frame = read.scan(table).filter((pl.col("kind") != "prediction") & (pl.col("reason") != ROLLED_BACK))
        if event_id is not None:
            frame = frame.filter(pl.col("event_id") == event_id)
        columns = ["event_id", "kind", "reason", "score", "received_at", "record"]
        return [_held(row, "arrival") for row in read.collect(frame.select(columns), table.uri).to_dicts()]

    def _at_training(self, model: str) -> list[Held]:
        raw = self._lake.objects.get(held_key(model))
        return [] if raw is None else [_held(row, "training") for row in pl.read_parquet(BytesIO(raw)).to_dicts()]


def decisions(objects: Objects, model: str) -> dict[str, Decision]:
    """Every decision about events of the model."""
    prefix = _decision_key(model, "")[: -len(".json")]
    ids = [key.removeprefix(prefix).removesuffix(".json") for key in objects.list(prefix)]
    found = {event_id: _decision(objects, model, event_id) for event_id in ids}
    return {event_id: decision for event_id, decision in found.items() if decision}


def _decision(objects: Objects, model: str, event_id: str) -> Decision | None:
    raw = objects.get(_decision_key(model, event_id))
    if raw is None:
        return None
    said = json.loads(raw)
    return Decision(said["verb"], said["who"], datetime.fromisoformat(said["at"]), said["why"])


def held_key(model: str) -> str:
    """Where the newest training says which rows it left out."""
    return f"{model}/_flywheel/held.parquet"


def _held(row: dict[str, Any], where: Any) -> Held:
    return Held(where=where, **{**row, "received_at": row["received_at"].astimezone(UTC)})


def _with(held: Held, decision: Decision | None) -> Held:
    return replace(held, decision=decision)


def _decision_key(model: str, event_id: str) -> str:
    return f"{model}/_flywheel/quarantine/{event_id}.json"
