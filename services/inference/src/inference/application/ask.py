"""Asking the registry and the lake now and then, as a backstop to the events."""

import threading
from collections.abc import Callable

from inference.application.catalogue import Catalogue
from inference.application.keep import Asked
from inference.application.ports import Champions, SourceUnavailable, Specs
from telemetry import logging

log = logging.get(__name__)


class Asker:
    """Runs in a thread of its own: an answer that is slow to come keeps no event waiting."""

    def __init__(
        self, champions: Champions, specs: Specs, catalogue: Catalogue, hear: Callable[[Asked], None], *, every_s: float
    ) -> None:
        self._champions = champions
        self._specs = specs
        self._catalogue = catalogue
        self._hear = hear
        self._every_s = every_s
        self._stopping = threading.Event()

    def run(self) -> None:
        """Ask at once, and then every `every_s` until `stop`."""
        while not self._stopping.is_set():
            try:
                self._hear(Asked(self._champions.all()))
            except SourceUnavailable as exc:
                self._hear(Asked((), str(exc)))
            try:
                self._catalogue.describe(self._specs.known())
            except SourceUnavailable as exc:
                log.warning("specs_unavailable", reason=str(exc))
            self._stopping.wait(self._every_s)

    def stop(self) -> None:
        """Let `run` return; from any thread."""
        self._stopping.set()
