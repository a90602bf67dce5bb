"""Looks at every model for crossings of quality, drift and schedule, and samples drift, as long as the trainer runs."""

import threading
import time

from telemetry import logging
from trainer.application.drift_history import DriftHistory
from trainer.application.watching import Watching
from trainer.entrypoints.errors import AGAIN_LATER
from trainer.entrypoints.repeating import Repeating

_LOG = logging.get("trainer")
_SHARE_OF_TIME = 10
"""A round may take one part in so many of the time: large tables are looked at less often."""


def watch(watching: Watching, history: DriftHistory, every_s: float) -> Repeating:
    """At start, and after trouble, announces again what has no outcome; then looks every `every_s` seconds."""
    return Repeating("watch", _Round(watching, history, every_s), every_s)


class _Round:
    def __init__(self, watching: Watching, history: DriftHistory, every_s: float) -> None:
        self._watching = watching
        self._history = history
        self._every_s = every_s
        self._unannounced: set[str] | None = None

    def __call__(self, stopping: threading.Event) -> float:
        began = time.monotonic()
        models = self._watching.models()
        if self._unannounced is None:
            self._unannounced = set(models)
        for model in models:
            if stopping.is_set():
                break
            self._look(model, self._unannounced)
        return max(self._every_s, (time.monotonic() - began) * _SHARE_OF_TIME)

    def _look(self, model: str, unannounced: set[str]) -> None:
        try:
            if model in unannounced:
                self._watching.announce_again(model)
                unannounced.discard(model)
            self._watching.look(model)
            self._history.look(model)
        except AGAIN_LATER as exc:
            unannounced.add(model)
            _LOG.warning("watching_waits", model=model, reason=str(exc))
        except Exception:
            _LOG.exception("watching_failed", model=model)
