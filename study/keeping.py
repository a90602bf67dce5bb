"""Replays that were run are kept, so that a study that broke off goes on; other code or other data runs anew."""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from registry.packaging import library_versions

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".flywheel" / "study"
_CODE = ("study", "examples/flights", "services/trainer/src/trainer/domain", "services/trainer/src/trainer/application",
         "services/trainer/src/trainer/adapters", "libs/evidence/src", "libs/features/src")  # fmt: skip


@cache
def code_digest() -> str:
    """Of everything that decides what a replay comes to."""
    digest = hashlib.sha256(json.dumps(library_versions(), sort_keys=True).encode())
    for folder in _CODE:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in {".py", ".yaml"} and "tests" not in file.parts:
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def kept(key: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `run` gave under this key before, or gives now."""
    path = FOLDER / code_digest() / f"{key}.json"
    if path.exists():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    found = run()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(found), encoding="utf-8")
    draft.replace(path)
    return found
