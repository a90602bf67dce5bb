import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flywheel_local.errors import NotReady, PortTaken, ProcessDied
from flywheel_local.launcher import Launcher
from flywheel_local.ports import free_ports
from flywheel_local.processes import Processes


@dataclass
class Sleeper:
    """A server that is ready once it has been asked `asks` times."""

    name: str
    script: str = "sleep 600"
    asks: int = 2
    ports: dict[str, int] = field(default_factory=lambda: {"SLEEPER_PORT": free_ports(1)[0]})
    patience_s: float = 1

    def prepare(self) -> None:
        pass

    def command(self) -> list[str]:
        return ["sh", "-c", self.script]

    def environment(self) -> dict[str, str]:
        return {}

    def problem(self) -> str | None:
        self.asks -= 1
        return "it yawns" if self.asks >= 0 else None


@pytest.fixture
def processes(tmp_path):
    own = Processes(tmp_path)
    yield own
    for name in own.names():
        own.stop(name, patience_s=0)


def launcher(processes: Processes, said: list[str] | None = None, ready_timeout_s: float = 10) -> Launcher:
    say = (said if said is not None else []).append
    return Launcher(processes, {"PATH": os.environ["PATH"]}, ready_timeout_s, say)


def test_only_the_dead_are_started(processes):
    said: list[str] = []
    one, other = Sleeper("one"), Sleeper("other")
    launcher(processes, said).bring_up([one, other])
    before = processes.pid("one")
    processes.kill("other")
    launcher(processes, said).bring_up([one, other])
    assert processes.pid("one") == before
    assert said == ["one: started", "other: started", "one: running", "other: started"]


def test_one_that_dies_is_reported_at_once_with_the_end_of_its_log(processes):
    doomed = Sleeper("doomed", script="echo no disk left; exit 3", asks=10_000)
    with pytest.raises(ProcessDied, match="no disk left"):
        launcher(processes, ready_timeout_s=60).bring_up([doomed])


def test_one_that_never_gets_ready_is_reported_with_what_it_lacks(processes):
    with pytest.raises(NotReady, match="it yawns"):
        launcher(processes, ready_timeout_s=0.3).bring_up([Sleeper("slow", asks=10_000)])


def test_every_taken_port_is_named_before_anything_starts(processes, tmp_path: Path):
    one, other = Sleeper("one"), Sleeper("other", ports={"OTHER_PORT": free_ports(1)[0]})
    first, second = one.ports["SLEEPER_PORT"], other.ports["OTHER_PORT"]
    with (
        socket.create_server(("127.0.0.1", first)),
        socket.create_server(("127.0.0.1", second)),
        pytest.raises(PortTaken) as refusal,
    ):
        launcher(processes).bring_up([one, other])
    assert "SLEEPER_PORT=" in str(refusal.value)
    assert "OTHER_PORT=" in str(refusal.value)
    assert processes.names() == []


def test_what_a_crashed_one_left_behind_is_cleared_before_it_starts_again(processes, tmp_path):
    server = Sleeper("parent", script=f"sleep 600 & echo $! > {tmp_path}/child; wait")
    launcher(processes).bring_up([server])
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
        assert processes.pid("parent")
    os.kill(processes.pid("parent"), 9)
    while processes.pid("parent"):
        pass
    launcher(processes).bring_up([Sleeper("parent")])
    assert {process.pid for process in processes.family("parent")}.isdisjoint({int((tmp_path / "child").read_text())})
