"""Drift over time beside the data: `{model}/_flywheel/drift-history.json`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from typing_extensions import override

from lake import Lake
from trainer.application.drift_history import DriftHistories
from trainer.domain.drift_history import DriftSample


class LakeDriftHistories(DriftHistories):
    """One small object per model."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    @override
    def read(self, model: str) -> Sequence[DriftSample]:
        raw = self._lake.objects.get(_key(model))
        said = json.loads(raw) if raw else []
        return [DriftSample(**{**each, "at": datetime.fromisoformat(each["at"])}) for each in said]

    @override
    def write(self, model: str, samples: Sequence[DriftSample]) -> None:
        said = [{**asdict(each), "at": each.at.isoformat()} for each in samples]
        self._lake.objects.put(_key(model), json.dumps(said, separators=(",", ":")).encode())


def _key(model: str) -> str:
    return f"{model}/_flywheel/drift-history.json"
