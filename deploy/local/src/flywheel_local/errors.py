"""What can go wrong while the stack starts, each with what to do about it.

StackError
├── PortTaken          somebody else listens where one of our processes should
├── ProcessDied        it ended before it was ready; carries the end of its log
├── NotReady           it runs, and did not become ready in time; carries what it still lacks
├── InstallFailed      a download or a one-time preparation failed
└── SettingsDiffer     the running stack was started with other settings
"""

from pathlib import Path


class StackError(Exception):
    """The stack cannot do what was asked. The text says why and what to do."""


class PortTaken(StackError):
    """Other processes hold ports of ours: one line for each, naming the variable to set."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))


class ProcessDied(StackError):
    """A process ended before it was ready."""

    def __init__(self, name: str, log: Path) -> None:
        super().__init__(f"{name} ended before it was ready. The end of {log}:\n{tail(log)}")


class NotReady(StackError):
    """A process runs and is not ready after `waited_s` seconds."""

    def __init__(self, name: str, problem: str, log: Path, waited_s: float) -> None:
        super().__init__(
            f"{name} is not ready after {waited_s:.0f} s: {problem}\nThe end of {log}:\n{tail(log)}\n"
            "On a slow machine, set FLYWHEEL_READY_TIMEOUT (seconds) higher."
        )


class InstallFailed(StackError):
    """Something that is prepared once could not be: a download, formatting Kafka's storage."""


class SettingsDiffer(StackError):
    """The running stack uses other settings than those asked for."""


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log, indented; says so where there is none."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return "    (no log was written)"
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (the log is empty)"
