"""Looks at every model for crossings of quality, drift and schedule, as long as the trainer runs."""

import threading
import time

from telemetry import logging
from trainer.application.watching import Watching
from trainer.entrypoints.errors import AGAIN_LATER

_LOG = logging.get("trainer")
_SHARE_OF_TIME = 10
"""A round may take one part in so many of the time: large tables are looked at less often."""


class Watch:
    """At start, and after trouble, announces again what has no outcome; then looks every `every_s` seconds."""

    def __init__(self, watching: Watching, every_s: float) -> None:
        self._watching = watching
        self._every_s = every_s
        self._stopping = threading.Event()
        self._unannounced: set[str] | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """End after the model in hand."""
        self._stopping.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            self._round()
            took_s = time.monotonic() - began
            self._stopping.wait(max(self._every_s, took_s * _SHARE_OF_TIME))

    def _round(self) -> None:
        try:
            models = self._watching.models()
        except AGAIN_LATER as exc:
            _LOG.warning("watching_waits", reason=str(exc))
            return
        if self._unannounced is None:
            self._unannounced = set(models)
        for model in models:
            if self._stopping.is_set():
                return
            self._look(model, self._unannounced)

    def _look(self, model: str, unannounced: set[str]) -> None:
        try:
            if model in unannounced:
                self._watching.announce_again(model)
                unannounced.discard(model)
            self._watching.look(model)
        except AGAIN_LATER as exc:
            unannounced.add(model)
            _LOG.warning("watching_waits", model=model, reason=str(exc))
        except Exception:
            _LOG.exception("watching_failed", model=model)
