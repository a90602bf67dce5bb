"""Waits for another process to end, then stops a stack: `python -m flywheel_local.watch HOME PID`."""

import sys
from contextlib import suppress
from pathlib import Path

import psutil

from flywheel_local.stack import Stack


def main() -> None:
    """Returns when the stack is down."""
    home, parent = Path(sys.argv[1]), int(sys.argv[2])
    with suppress(psutil.NoSuchProcess):
        psutil.Process(parent).wait()
    Stack(home).stop()


if __name__ == "__main__":
    main()
