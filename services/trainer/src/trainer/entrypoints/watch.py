"""Looks at every model for crossings of quality, drift and schedule, as long as the trainer runs."""

import threading
import time

from telemetry import logging
from trainer.application.watching import Watching
from trainer.entrypoints.errors import AGAIN_LATER
from trainer.entrypoints.repeating import Repeating, rest_s

_LOG = logging.get("trainer")


def watch(watching: Watching, every_s: float) -> Repeating:
    """At start, and after trouble, announces again what has no outcome; then looks every `every_s` seconds."""
    return Repeating("watch", _Round(watching, every_s), every_s)


class _Round:
    def __init__(self, watching: Watching, every_s: float) -> None:
        self._watching = watching
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
        return rest_s(began, self._every_s)

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
