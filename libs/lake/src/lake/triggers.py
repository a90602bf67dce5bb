"""The log of triggers: numbered objects, each written by whoever comes first, so a crossing fires once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from flywheel_schemas.events import ThresholdReached
from flywheel_schemas.topics import FEEDBACK_EVENTS
from lake import versions
from lake.append import transaction_id, watermarks
from lake.lake import Lake


def trigger_id(model: str, number: int) -> UUID:
    """The id of the model's trigger `number`: the same for whoever computes it."""
    return uuid5(NAMESPACE_URL, f"flywheel:{model}:{number}")


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the feedback table had come: its labelled rows, and the last offset that it held of each partition."""

    labelled_rows: int
    offsets: Mapping[int, int]


def mark(lake: Lake, model: str, partitions: int) -> tuple[int, Mark] | None:
    """(version, mark) of the model's feedback as it is now, from the log alone; None where there is no table yet."""
    table = lake.table(model, "feedback")
    if not table.exists():
        return None
    opened = table.at(None)
    ids = {transaction_id(FEEDBACK_EVENTS.name, partition): partition for partition in range(partitions)}
    offsets = {ids[name]: offset for name, offset in watermarks(opened, ids).items()}
    return int(opened.version()), Mark(versions.labelled_in(opened), offsets)


@dataclass(frozen=True, slots=True)
class LoggedTrigger:
    """Trigger number `n`, and how far the feedback had come then; None in logs of earlier releases."""

    n: int
    trigger: ThresholdReached
    mark: Mark | None = None


class TriggerLog:
    """The triggers of one model, at `{model}/_flywheel/triggers/{n:08d}.json`, n from 0 without gaps."""

    def __init__(self, lake: Lake, model: str) -> None:
        self._objects = lake.objects
        self._prefix = f"{model}/_flywheel/triggers/"

    def append(self, n: int, trigger: ThresholdReached, mark: Mark | None = None) -> bool:
        """Write trigger `n` unless it is there; whether this call wrote it. Publish after, never before."""
        body: dict[str, Any] = {"trigger": trigger.model_dump(mode="json", exclude_none=True)}
        if mark is not None:
            offsets = {str(partition): offset for partition, offset in mark.offsets.items()}
            body |= {"labelled_rows": mark.labelled_rows, "offsets": offsets}
        return self._objects.put_if_absent(self._key(n), msgspec.json.encode(body))

    def last(self) -> ThresholdReached | None:
        """The newest trigger, or None."""
        newest = self.newest()
        return newest.trigger if newest else None

    def newest(self) -> LoggedTrigger | None:
        """The newest trigger with its number, or None."""
        numbers = self._numbers()
        return self._read(numbers[-1]) if numbers else None

    def since(self, moment: datetime) -> list[ThresholdReached]:
        """The triggers at or after `moment`, newest first."""
        found = []
        for n in reversed(self._numbers()):
            trigger = self._read(n).trigger
            if trigger.occurred_at < moment:
                break
            found.append(trigger)
        return found

    def find(self, trigger_id: UUID) -> ThresholdReached | None:
        """The trigger of that id, sought from the newest on; None where there is none."""
        triggers = (self._read(n).trigger for n in reversed(self._numbers()))
        return next((trigger for trigger in triggers if trigger.trigger_id == trigger_id), None)

    def all(self) -> list[ThresholdReached]:
        """Every trigger, oldest first."""
        return [self._read(n).trigger for n in self._numbers()]

    def _numbers(self) -> list[int]:
        names = (key.removeprefix(self._prefix).removesuffix(".json") for key in self._objects.list(self._prefix))
        return sorted(int(name) for name in names if name.isdecimal())

    def _read(self, n: int) -> LoggedTrigger:
        raw = self._objects.get(self._key(n))
        body = msgspec.json.decode(raw or b"")
        trigger = ThresholdReached.model_validate_json(msgspec.json.encode(body["trigger"]))
        if "offsets" not in body:
            return LoggedTrigger(n, trigger)
        offsets = {int(partition): offset for partition, offset in body["offsets"].items()}
        return LoggedTrigger(n, trigger, Mark(body["labelled_rows"], offsets))

    def _key(self, n: int) -> str:
        return f"{self._prefix}{n:08d}.json"
