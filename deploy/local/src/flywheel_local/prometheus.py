"""Prometheus beside the stack, with the rules of deploy/observability, scraping every service."""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flywheel_local.server import http_problem, repository

NAME = "prometheus"
HOW = "Prometheus is not installed; on Debian and Ubuntu: apt install prometheus"
_CONFIGURATION = """\
global: {{scrape_interval: {every}, evaluation_interval: {every}}}
rule_files: [{rules}]
scrape_configs:
  - job_name: flywheel
    file_sd_configs: [{{files: [targets.json], refresh_interval: 5s}}]
"""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Its state and configuration lie in `<home>/prometheus`; `scrape_every` is a duration such as 15s."""

    home: Path
    port: int
    scrape_every: str = "15s"
    patience_s: float = 10

    @property
    def name(self) -> str:
        """Name of the process."""
        return NAME

    @property
    def ports(self) -> Mapping[str, int]:
        """The port of its web page and API."""
        return {"PROMETHEUS_PORT": self.port}

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Writes its configuration."""
        self._folder.mkdir(parents=True, exist_ok=True)
        rules = json.dumps(str(repository() / "deploy" / "observability" / "rules.yaml"))
        (self._folder / "prometheus.yml").write_text(_CONFIGURATION.format(every=self.scrape_every, rules=rules))

    def watch(self, services: Iterable[tuple[str, str]]) -> None:
        """Scrape these from now on: (service, host:port), copies under the service's name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        targets = [{"targets": [address], "labels": {"job": name}} for name, address in services]
        fresh = self._folder / "targets.json.new"
        fresh.write_text(json.dumps(targets))
        fresh.replace(self._folder / "targets.json")

    def command(self) -> list[str]:
        """The command line; on loopback, for two weeks of data."""
        return [
            executable() or NAME,
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            "--storage.tsdb.retention.time=15d",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]

    def environment(self) -> Mapping[str, str]:
        """Nothing of its own."""
        return {}

    def problem(self) -> str | None:
        """What its /-/ready says."""
        return http_problem(f"{self.url}/-/ready")

    @property
    def _folder(self) -> Path:
        return self.home / NAME


def executable() -> str | None:
    """The path of the server, or None."""
    return shutil.which(NAME)
