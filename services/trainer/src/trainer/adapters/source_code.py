"""Which source code runs: kept with every version that it makes."""

import subprocess
from pathlib import Path


def git_commit() -> str:
    """The commit of the working copy that this file is in, with `+` for changes on top; "unknown" outside of one."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5.0,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip() or "unknown"
