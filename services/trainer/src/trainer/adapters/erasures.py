"""Erasures in the lake: tombstones and records, tables, and the training sets that are pinned beside them."""

import json
from collections.abc import Mapping

import polars as pl
from typing_extensions import override

from flywheel_schemas.topics import FEEDBACK_EVENTS
from lake import Lake, erasing, read
from lake.erasures import Erasure, Tombstone
from lake.pins import Pins
from trainer.application.erase import Erasures, Learned


class LakeErasures(Erasures):
    """What `Erase` does to one lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    @override
    def pending(self) -> list[Tombstone]:
        return self._lake.erasures.pending()

    @override
    def completed(self) -> list[tuple[Tombstone, Erasure]]:
        records = {one.erasure_id: one for one in self._lake.erasures.records()}
        stones = self._lake.erasures.all()
        return [(stone, records[stone.erasure_id]) for stone in stones if records[stone.erasure_id].completed_at]

    @override
    def record(self, stone: Tombstone) -> Erasure:
        return next(one for one in self._lake.erasures.records() if one.erasure_id == stone.erasure_id)

    @override
    def note(self, record: Erasure) -> None:
        self._lake.erasures.note(record)

    @override
    def forget(self, stone: Tombstone) -> None:
        self._lake.erasures.forget(stone)

    @override
    def models(self) -> list[str]:
        return self._lake.models()

    @override
    def events(self, model: str, stone: Tombstone) -> set[str]:
        return erasing.events_of(self._lake, model, stone)

    @override
    def predictions(self, model: str, stone: Tombstone) -> int:
        table = self._lake.table(model, "predictions")
        if not table.exists():
            return 0
        covered = (pl.col("user_hash") == stone.user_hash) & (pl.col("received_at") <= stone.erased_before)
        return int(read.collect(read.scan(table).filter(covered).select(pl.len()), table.uri).item())

    @override
    def learned(self, model: str, events: set[str]) -> list[Learned]:
        found = []
        for key in self._lake.objects.list(f"{model}/_flywheel/versions/"):
            said = json.loads(self._lake.objects.get(key) or b"{}")
            kept = Pins(self._lake, model).events(said["training_set_hash"]) if said else []
            if held := events.intersection(kept):
                gone_before = said.get("events", len(kept)) - len(kept)
                found.append(Learned(str(said["version"]), said["training_set_hash"], gone_before + len(held)))
        return found

    @override
    def strip(self, model: str, training_set_hash: str, events: set[str]) -> None:
        Pins(self._lake, model).strip(training_set_hash, events)

    @override
    def erase(self, model: str, stone: Tombstone) -> Mapping[str, int]:
        return erasing.erase(self._lake, model, stone, FEEDBACK_EVENTS.name)
