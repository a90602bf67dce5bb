"""The log of triggers: numbered objects, each written by whoever comes first, so a crossing fires once."""

from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from flywheel_schemas.events import ThresholdReached
from lake.lake import Lake


def trigger_id(model: str, number: int) -> UUID:
    """The id of the model's trigger `number`: the same for whoever computes it."""
    return uuid5(NAMESPACE_URL, f"flywheel:{model}:{number}")


@dataclass(frozen=True, slots=True)
class LoggedTrigger:
    """Trigger number `n`. `labelled_rows`, where known, is how many labelled rows the feedback table had then."""

    n: int
    trigger: ThresholdReached
    labelled_rows: int | None = None


class TriggerLog:
    """The triggers of one model, at `{model}/_flywheel/triggers/{n:08d}.json`, n from 0 without gaps."""

    def __init__(self, lake: Lake, model: str) -> None:
        self._objects = lake.objects
        self._prefix = f"{model}/_flywheel/triggers/"

    def append(self, n: int, trigger: ThresholdReached, labelled_rows: int | None = None) -> bool:
        """Write trigger `n` unless it is there; whether this call wrote it. Publish after, never before."""
        body: dict[str, Any] = {"trigger": trigger.model_dump(mode="json", exclude_none=True)}
        if labelled_rows is not None:
            body["labelled_rows"] = labelled_rows
        return self._objects.put_if_absent(self._key(n), msgspec.json.encode(body))

    def last(self) -> ThresholdReached | None:
        """The newest trigger, or None."""
        newest = self.newest()
        return newest.trigger if newest else None

    def newest(self) -> LoggedTrigger | None:
        """The newest trigger with its number, or None."""
        numbers = self._numbers()
        return self._read(numbers[-1]) if numbers else None

    def newest_counted(self) -> LoggedTrigger | None:
        """The newest trigger that says how many labelled rows there were, or None."""
        for n in reversed(self._numbers()):
            entry = self._read(n)
            if entry.labelled_rows is not None:
                return entry
        return None

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
        return LoggedTrigger(n, trigger, body.get("labelled_rows"))

    def _key(self, n: int) -> str:
        return f"{self._prefix}{n:08d}.json"
