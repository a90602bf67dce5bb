"""The whole stack as one object: start it, stop it, kill a part of it, start that part again."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from flywheel_local import env_file, kafka, prometheus
from flywheel_local.configuration import Configuration, inherited
from flywheel_local.errors import SettingsDiffer, StackError
from flywheel_local.launcher import Launcher
from flywheel_local.ports import Ports, free_ports
from flywheel_local.processes import MARK, Processes, end
from flywheel_local.prometheus import Prometheus
from flywheel_local.server import Server
from flywheel_local.servers import SERVER_NAMES, servers
from flywheel_local.service import Service, all_services
from flywheel_local.topics import ensure_topics


def _silent(line: str) -> None:
    """Says nothing."""


class Stack:
    """A stack that lives in one folder; any number of them run side by side, each on its own ports.

    `ports` are free ones unless given. `given` are variables taken as they are: addresses of servers that
    exist already, settings of services. `say` gets a line for each thing that happens.
    """

    def __init__(
        self,
        home: Path,
        ports: Ports | None = None,
        given: Mapping[str, str] | None = None,
        *,
        say: Callable[[str], None] = _silent,
        ready_timeout_s: float = 120,
    ) -> None:
        self._configuration = Configuration(home.resolve(), ports or Ports.free(), given or {})
        self._processes = Processes(self._configuration.home)
        self._say = say
        self._ready_timeout_s = ready_timeout_s

    @property
    def home(self) -> Path:
        """The folder with its state, logs and pid files."""
        return self._configuration.home

    @property
    def env(self) -> dict[str, str]:
        """What a client or a service needs to use it."""
        return self._configuration.environment()

    def start(self) -> None:
        """Servers, then topics, then services, each until it is ready. What lives already is left alone."""
        self._launcher().refuse_taken_ports([*self._servers(), *self.services()])
        self.start_servers()
        self.start_services()

    def start_servers(self) -> None:
        """Kafka, S3 (with its buckets) and MLflow, unless their addresses were given; then the topics."""
        self._write_env()
        self._launcher().bring_up(self._servers())
        ensure_topics(self.env)

    def start_services(self, names: Iterable[str] | None = None) -> None:
        """The services of those names, else all; and the copies of them that were running."""
        self._write_env()
        wanted = [service for service in self.services() if names is None or service.name in set(names)]
        self._launcher().bring_up([*wanted, *(copy for service in wanted for copy in self._copies(service))])

    def start_prometheus(self, scrape_every: str = "15s") -> str | None:
        """Prometheus beside the services, with the rules; its address. None, and a line, where it is not installed."""
        if prometheus.executable() is None:
            self._say(f"prometheus: {prometheus.HOW}")
            return None
        server = Prometheus(self.home, self._configuration.ports.prometheus_port, scrape_every)
        self._show_services()
        self._launcher().bring_up([server])
        return server.url

    def stop(self) -> None:
        """Ends everything that carries this stack's mark, services first; works on half a stack and on none."""
        self._stop_together([name for name in self.names() if name not in SERVER_NAMES])
        for name in ("mlflow", "kafka", "s3"):
            self._stop_together([name])
        end(self._processes.everyone(), signal.SIGTERM, patience_s=5)

    @contextmanager
    def while_in_use(self) -> Iterator[Self]:
        """Stopped at the end of the block, and however this process ends before."""
        self.stop_with_parent()
        try:
            yield self
        finally:
            self.stop()

    def stop_with_parent(self) -> None:
        """Ties the stack to this process: however it ends, kill -9 included, the stack is stopped."""
        self.home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "flywheel_local.watch", str(self.home), str(os.getpid())]
        environment = {**os.environ, MARK: f"{self.home}#watch"}
        self._watch = subprocess.Popen(command, env=environment, start_new_session=True)

    def pid(self, name: str) -> int | None:
        """Process id of the one that does the work of `name`; None when it does not live."""
        return self._processes.pid(name)

    def names(self) -> list[str]:
        """Everything that was started and not stopped, alive or not."""
        return self._processes.names()

    def log(self, name: str) -> Path:
        """Where a process's output goes."""
        return self._processes.log(name)

    def services(self) -> list[Service]:
        """Every service of ours, once each."""
        return all_services(self.home, self._configuration.ports)

    def kill(self, name: str) -> None:
        """SIGKILL, as a crash; returns when the process is gone."""
        self._processes.kill(name)

    def restart(self, name: str) -> None:
        """Starts it again if it is dead, and waits until it is ready. Raises StackError for an unknown name."""
        everything: list[Server] = [*self._servers(), *self.services()]
        everything += [copy for service in self.services() for copy in self._copies(service)]
        found = [server for server in everything if server.name == name]
        if not found:
            raise StackError(f"There is no {name}. There are: {', '.join(server.name for server in everything)}")
        self._launcher().bring_up(found)

    def scale(self, name: str, count: int) -> None:
        """Runs `count` of a service: starts `<name>-2` and so on, on free ports, or stops the last ones."""
        services = {service.name: service for service in self.services()}
        if name not in services or count < 1:
            raise StackError(f"SERVICE is one of {', '.join(services)}, and N at least 1")
        surplus = [copy for copy in self._copies(services[name]) if int(copy.name.rpartition("-")[2]) > count]
        self._stop_together([copy.name for copy in surplus])
        self._launcher().bring_up([self._copy(services[name], number) for number in range(2, count + 1)])
        if self.pid(prometheus.NAME):
            self._show_services()

    def addresses(self) -> list[tuple[str, str, int | None]]:
        """Name, address and process id of everything that was started; for what was given, no id."""
        env = self.env
        urls = {"kafka": env["KAFKA_BOOTSTRAP_SERVERS"], "s3": env["S3_ENDPOINT_URL"]}
        urls |= {"mlflow": env["MLFLOW_TRACKING_URI"]} | {service.name: service.url for service in self.services()}
        urls |= {copy.name: copy.url for service in self.services() for copy in self._copies(service)}
        if prometheus.NAME in self.names():
            urls[prometheus.NAME] = Prometheus(self.home, self._configuration.ports.prometheus_port).url
        return [(name, url, self.pid(name)) for name, url in urls.items()]

    def _show_services(self) -> None:
        """Tell Prometheus what there is to scrape."""
        found = [(service.name, service.url) for service in self.services()]
        found += [(service.name, copy.url) for service in self.services() for copy in self._copies(service)]
        Prometheus(self.home, self._configuration.ports.prometheus_port).watch(
            (name, url.removeprefix("http://")) for name, url in found
        )

    def _servers(self) -> list[Server]:
        return servers(self._configuration, kafka.default_jars(), self._say)

    def _copies(self, service: Service) -> list[Service]:
        numbers = [
            name.removeprefix(f"{service.name}-") for name in self.names() if name.startswith(f"{service.name}-")
        ]
        return [self._copy(service, int(number)) for number in sorted(numbers, key=int) if number.isdecimal()]

    def _copy(self, service: Service, number: int) -> Service:
        """A living copy keeps the ports it has; a new one gets free ones."""
        running = self._processes.environment(f"{service.name}-{number}")
        fresh = free_ports(len(service.ports))
        ports = {name: int(running.get(name, port)) for name, port in zip(service.ports, fresh, strict=True)}
        return service.copy(number, ports)

    def _launcher(self) -> Launcher:
        return Launcher(self._processes, {**inherited(), **self.env}, self._ready_timeout_s, self._say)

    def _stop_together(self, names: Sequence[str]) -> None:
        patience = {server.name: server.patience_s for server in self.services()}
        with ThreadPoolExecutor(max_workers=max(len(names), 1)) as pool:
            list(pool.map(lambda name: self._processes.stop(name, patience.get(name, 20.0)), names))

    def _write_env(self) -> None:
        wanted, recorded = self.env, env_file.read(self._configuration.env_path)
        if any(self.pid(name) for name in self.names()):
            differing = [name for name in wanted if name in recorded and recorded[name] != wanted[name]]
            if differing:
                raise SettingsDiffer(
                    f"The running stack has other values of {', '.join(differing)}. `make down` first, then `make up`."
                )
        env_file.write(self._configuration.env_path, wanted)
