"""Erasures go on without a caller: soon after they are asked for, and until they are completed."""

import threading

from telemetry import logging
from trainer.application.erase import Erase
from trainer.entrypoints.errors import AGAIN_LATER

_LOG = logging.get("trainer")


class Erasing:
    """Works off erasures every `every_s`."""

    def __init__(self, erase: Erase, every_s: float) -> None:
        self._erase = erase
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="erasing", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """End after the step in hand."""
        self._stopping.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                if completed := self._erase():
                    _LOG.info("erasures_completed", count=completed)
            except AGAIN_LATER as exc:
                _LOG.warning("erasing_waits", reason=str(exc))
            except Exception:
                _LOG.exception("erasing_failed")
