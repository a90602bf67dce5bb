"""NAME=value files that a shell can source: `.flywheel/env` and the secrets that are made once."""

import shlex
from collections.abc import Mapping
from pathlib import Path


def read(path: Path) -> dict[str, str]:
    """What the file sets; empty where there is no file. Understands quotes, comments and a leading `export`."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    words = shlex.split(text, comments=True)
    return dict(word.split("=", 1) for word in words if "=" in word)


def write(path: Path, values: Mapping[str, str]) -> None:
    """Replaces the file at once, readable by its owner only: it holds secrets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.touch(mode=0o600)
    draft.chmod(0o600)
    draft.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()))
    draft.replace(path)
