"""Telling the trainer how challengers do: every second, and at once when one is taken off by its own replica."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from flywheel_schemas.events import ChallengerHealth
from inference.application.catalogue import Catalogue
from inference.application.ports import SourceUnavailable
from telemetry import logging

log = logging.get(__name__)


class HealthLog(Protocol):
    """Where reports go."""

    def publish(self, health: ChallengerHealth) -> None:
        """Returns when it is kept. Raises SourceUnavailable."""


class Reporter:
    """Runs in a thread of its own. A report that cannot be sent is dropped: the next one holds all that it said."""

    def __init__(
        self,
        catalogue: Catalogue,
        health: HealthLog,
        replica: str,
        *,
        every_s: float = 1.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._catalogue = catalogue
        self._health = health
        self._replica = replica
        self._every_s = every_s
        self._now = now
        self._wake = threading.Event()
        self._stopping = False

    def wake(self) -> None:
        """Tell at once; from any thread."""
        self._wake.set()

    def run(self) -> None:
        """Tell until `stop`."""
        away = False
        while not self._stopping:
            self._wake.wait(self._every_s)
            self._wake.clear()
            try:
                self.tell()
            except SourceUnavailable as exc:
                if not away:
                    log.warning("challenger_health_not_sent", reason=str(exc))
                away = True
            else:
                away = False

    def tell(self) -> None:
        """One report per challenger. Raises SourceUnavailable."""
        for champion, watch in self._catalogue.watches():
            self._health.publish(watch.tell(champion, self._replica, self._now()))

    def stop(self) -> None:
        """Let `run` return; from any thread."""
        self._stopping = True
        self._wake.set()
