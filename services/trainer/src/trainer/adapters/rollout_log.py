"""The log of rollouts in the lake: numbered objects, each written by whoever comes first.

`{model}/_flywheel/rollout/{n:08d}.json`, n from 0 without gaps. Of two workers that decide at once one finds its
number taken and reads what the other has decided: that is the fencing.
"""

import msgspec

from lake import Lake
from trainer.application.transitions import Entry


class LakeRolloutLog:
    """The entries of every model. The last one seen is remembered, so that looking for news is one request."""

    def __init__(self, lake: Lake) -> None:
        self._objects = lake.objects
        self._seen: dict[str, Entry] = {}

    def last(self, model: str) -> Entry | None:
        """The newest entry, or None before the first."""
        seen = self._seen.get(model) or self._newest_listed(model)
        while seen is not None and (following := self._read(model, seen.sequence + 1)) is not None:
            seen = following
        if seen is not None:
            self._seen[model] = seen
        return seen

    def append(self, entry: Entry) -> bool:
        """Write the entry unless its number is taken; whether this call wrote it."""
        written = self._objects.put_if_absent(_key(entry.model, entry.sequence), msgspec.json.encode(entry))
        if written:
            self._seen[entry.model] = entry
        return written

    def latest(self, model: str, count: int) -> list[Entry]:
        """The last `count` entries, oldest first."""
        last = self.last(model)
        first = max(0, last.sequence + 1 - count) if last else 0
        found = (self._read(model, n) for n in range(first, last.sequence + 1 if last else 0))
        return [entry for entry in found if entry is not None]

    def _newest_listed(self, model: str) -> Entry | None:
        prefix = _key(model, 0)[: -len("00000000.json")]
        names = [key.removeprefix(prefix).removesuffix(".json") for key in self._objects.list(prefix)]
        numbers = [int(name) for name in names if name.isdecimal()]
        return self._read(model, max(numbers)) if numbers else None

    def _read(self, model: str, n: int) -> Entry | None:
        raw = self._objects.get(_key(model, n))
        return None if raw is None else msgspec.json.decode(raw, type=Entry)


def _key(model: str, n: int) -> str:
    return f"{model}/_flywheel/rollout/{n:08d}.json"
