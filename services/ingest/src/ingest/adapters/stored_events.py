"""Events in the lake, and the training sets that hold them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from ingest.application.ports import Sighting, SourceAway
from lake import locate
from lake.errors import LakeError
from lake.lake import Lake
from lake.pins import Pins

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Trained:
    version: str
    training_set_hash: str
    feedback_version: int | None


class LakeEvents:
    """Reads the models' tables, and beside them `_flywheel/versions/*.json` and `_flywheel/training_sets/*.parquet`.

    The trainer writes those once and never changes them, so what was read of them stays valid.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._versions: dict[str, _Trained] = {}
        self._events = locate.Events(lake)
        self._pins = cache(lambda model: Pins(lake, model))
        self._holds = lru_cache(_REMEMBERED)(self._search)

    def find(self, event_id: str, models: Sequence[str]) -> Sighting | None:
        """The event in one of the models' datasets or quarantines. Raises SourceAway."""
        try:
            found = self._events.find(event_id, models)
        except (LakeError, OSError) as error:
            raise SourceAway(str(error)) from error
        if found is None:
            return None
        return Sighting(event_id, found.model, found.status, found.received_at, found.dataset_version, found.reason)

    def trained_into(self, event: Sighting) -> list[str]:
        """Versions of the event's model whose training set holds it, oldest first. Raises SourceAway."""
        try:
            return [
                trained.version
                for trained in self._trained(event.model)
                if _may_hold(trained, event) and self._holds(event.model, trained.training_set_hash, event.event_id)
            ]
        except (LakeError, OSError) as error:
            raise SourceAway(str(error)) from error

    def _trained(self, model: str) -> list[_Trained]:
        for key in self._lake.objects.list(f"{model}/_flywheel/versions/"):
            if key not in self._versions and (content := self._lake.objects.get(key)) is not None:
                told = json.loads(content)
                versions = told.get("dataset_versions", {})
                self._versions[key] = _Trained(
                    str(told["version"]), told["training_set_hash"], versions.get("feedback")
                )
        prefix = f"{model}/"
        found = [trained for key, trained in self._versions.items() if key.startswith(prefix)]
        return sorted(found, key=lambda trained: (len(trained.version), trained.version))

    def _search(self, model: str, training_set_hash: str, event_id: str) -> bool:
        return bool(self._pins(model).holds(training_set_hash, event_id))


def _may_hold(trained: _Trained, event: Sighting) -> bool:
    """False where the set was made before the event came into the dataset; no file is opened then."""
    if trained.feedback_version is None or event.dataset_version is None:
        return True
    return trained.feedback_version >= event.dataset_version
