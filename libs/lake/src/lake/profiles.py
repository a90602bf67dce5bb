"""The profile of each model's base dataset: `{model}/_flywheel/profile.json`, which arriving rows are held against."""

import json
from collections.abc import Mapping
from typing import Any

from lake.objects import Objects


def put(objects: Objects, model: str, said: Mapping[str, Any]) -> None:
    """Store the profile, in place of an earlier one."""
    objects.put(_key(model), json.dumps(dict(said), sort_keys=True).encode())


def get(objects: Objects, model: str) -> Mapping[str, Any] | None:
    """The profile, or None for a model without base data."""
    raw = objects.get(_key(model))
    return None if raw is None else dict(json.loads(raw))


def _key(model: str) -> str:
    return f"{model}/_flywheel/profile.json"
