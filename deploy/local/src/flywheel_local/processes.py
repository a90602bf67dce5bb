"""Starting, finding and ending the processes of one stack.

A process of ours carries the mark FLYWHEEL_PROCESS=<home>#<name> in its environment. Its children inherit it,
so an id that the system has given to somebody else is never taken for ours, and nothing of ours is overlooked.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MARK = "FLYWHEEL_PROCESS"
_POLL_S = 0.02
_KILL_TAKES_S = 10.0
_LOG_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of the stack that lives in `home`, by name. Files: run/<name>.pid and logs/<name>.log."""

    home: Path
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list, compare=False, repr=False)

    def pid_file(self, name: str) -> Path:
        """Holds the id of the process itself and nothing else."""
        return self.home / "run" / f"{name}.pid"

    def log(self, name: str) -> Path:
        """Everything that the process printed, over restarts."""
        return self.home / "logs" / f"{name}.log"

    def names(self) -> list[str]:
        """Every process that was started and not stopped by us, whether it still lives or not."""
        return sorted(path.stem for path in (self.home / "run").glob("*.pid"))

    def pid(self, name: str) -> int | None:
        """Id of the living process of that name; None where there is none of ours."""
        try:
            pid = int(self.pid_file(name).read_text())
        except (FileNotFoundError, ValueError):
            return None
        # Only a living process has an environment: a dead one that nobody waited for has none.
        return pid if _mark(pid) == self._mark(name) else None

    def environment(self, name: str) -> dict[str, str]:
        """The environment that the living process was started with; empty where it does not live."""
        pid = self.pid(name)
        with suppress(psutil.Error):
            return psutil.Process(pid).environ() if pid else {}
        return {}

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Starts it in a session of its own (Ctrl-C in a terminal does not reach it) and notes its id."""
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        self.pid_file(name).parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=self.home,
                env={**environment, MARK: self._mark(name)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        # A new process shows its environment a moment after it exists; until then it would not pass for ours.
        while _mark(process.pid) is None and process.poll() is None:
            time.sleep(_POLL_S)
        self._children.append(process)
        self.note(name, process.pid)
        return process.pid

    def note(self, name: str, pid: int) -> None:
        """Says which process does the work of `name`."""
        draft = self.pid_file(name).with_suffix(".draft")
        draft.write_text(f"{pid}\n")
        draft.replace(self.pid_file(name))

    def family(self, name: str) -> list[psutil.Process]:
        """Every living process with that name's mark: the worker, what started it and what it started."""
        return self._marked(lambda mark: mark == self._mark(name))

    def everyone(self) -> list[psutil.Process]:
        """Every living process of this stack, noted in a file or not."""
        return self._marked(lambda mark: mark.startswith(f"{self.home}#"))

    def kill(self, name: str) -> None:
        """Ends it at once, as a crash would, and returns when it is gone. The id stays noted: it is missed."""
        end(self.family(name), signal.SIGKILL, patience_s=_KILL_TAKES_S)
        self._collect()

    def stop(self, name: str, patience_s: float) -> None:
        """Asks it to end, ends it after `patience_s`, and forgets it."""
        end(self.family(name), signal.SIGTERM, patience_s)
        self.pid_file(name).unlink(missing_ok=True)
        self._collect()

    def _collect(self) -> None:
        """Waits for dead children, so that they leave the system's table."""
        self._children[:] = [child for child in self._children if child.poll() is None]

    def _mark(self, name: str) -> str:
        return f"{self.home}#{name}"

    @staticmethod
    def _marked(belongs: Callable[[str], bool]) -> list[psutil.Process]:
        found = []
        for pid in psutil.pids():
            mark = _mark(pid)
            if mark is not None and belongs(mark) and pid != os.getpid():
                with suppress(psutil.NoSuchProcess):
                    found.append(psutil.Process(pid))
        return found


def end(processes: Sequence[psutil.Process], first: signal.Signals, patience_s: float) -> None:
    """Signals all, waits, kills those that remain, and returns when they are gone."""
    _signal(processes, first)
    stubborn = _wait(processes, patience_s)
    _signal(stubborn, signal.SIGKILL)
    _wait(stubborn, _KILL_TAKES_S)


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)


def _wait(processes: Sequence[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Those that still live after the time.

    A dead one that nobody has waited for yet (a zombie) counts as gone once the last of its threads is: until then
    it still holds its ports.
    """
    deadline = time.monotonic() + timeout_s
    alive = [process for process in processes if _is_alive(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        alive = [process for process in alive if _is_alive(process)]
    return alive


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.Error:
        return False


def _mark(pid: int) -> str | None:
    """The mark in a process's environment; None for processes of others and for those that are gone."""
    try:
        return psutil.Process(pid).environ().get(MARK)
    except (psutil.Error, OSError):
        return None
