"""Bringing servers up: only those that are dead, on ports that are free, and waiting until each is ready."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from flywheel_local.errors import NotReady, PortTaken, ProcessDied
from flywheel_local.ports import free_ports, holder, is_free
from flywheel_local.processes import Processes
from flywheel_local.server import Server

_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Launcher:
    """Starts servers among `processes` with `environment`; `say` gets a line for each that became ready."""

    processes: Processes
    environment: Mapping[str, str]
    ready_timeout_s: float
    say: Callable[[str], None]

    def refuse_taken_ports(self, servers: Sequence[Server]) -> None:
        """Raises PortTaken for the ports of dead servers that somebody else holds."""
        dead = self._dead(servers)
        for server in dead:
            self.processes.kill(server.name)  # what a crashed one may have left behind, holding its port
        refuse_taken_ports(dead)

    def bring_up(self, servers: Sequence[Server]) -> None:
        """Starts the dead ones together, then waits for all. Raises PortTaken before it starts anything."""
        self.refuse_taken_ports(servers)
        dead = self._dead(servers)
        for server in dead:
            server.prepare()
            self.processes.start(server.name, server.command(), {**self.environment, **server.environment()})
        for server in servers:
            self.wait(server)
            self.say(f"{server.name}: {'started' if server in dead else 'running'}")

    def wait(self, server: Server) -> None:
        """Returns when it is ready. Raises ProcessDied as soon as it is dead, NotReady when time is up."""
        deadline = time.monotonic() + self.ready_timeout_s
        log = self.processes.log(server.name)
        while problem := server.problem():
            if self.processes.pid(server.name) is None:
                raise ProcessDied(server.name, log)
            if time.monotonic() > deadline:
                raise NotReady(server.name, problem, log, self.ready_timeout_s)
            time.sleep(_POLL_S)
        self._note_worker(server)

    def _dead(self, servers: Sequence[Server]) -> list[Server]:
        return [server for server in servers if self.processes.pid(server.name) is None]

    def _note_worker(self, server: Server) -> None:
        """A launcher such as MLflow's leaves the work to a child: the one that listens is the one to name."""
        port = next(iter(server.ports.values()))
        for process in self.processes.family(server.name):
            if process.pid != self.processes.pid(server.name) and _listens(process, port):
                self.processes.note(server.name, process.pid)


def refuse_taken_ports(servers: Iterable[Server]) -> None:
    """Raises PortTaken with a line for every port that somebody else holds."""
    taken = [(variable, port) for server in servers for variable, port in server.ports.items() if not is_free(port)]
    if not taken:
        return
    others = free_ports(len(taken))
    raise PortTaken(
        [
            f"Port {port} is taken by {holder(port)}. Stop it, or choose another port: {variable}={other}"
            for (variable, port), other in zip(taken, others, strict=True)
        ]
    )


def _listens(process: psutil.Process, port: int) -> bool:
    with suppress(psutil.Error):
        connections = process.net_connections("tcp")
        return any(c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port for c in connections)
    return False
