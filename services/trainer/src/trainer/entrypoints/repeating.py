"""Work that is done again and again without a caller, each in a thread of its own."""

import threading
import time
from collections.abc import Callable

from telemetry import logging
from trainer.entrypoints.errors import AGAIN_LATER

_LOG = logging.get("trainer")
_PATIENCE_S = 10.0
Work = Callable[[threading.Event], float | None]


def rest_s(began_s: float, every_s: float) -> float:
    """The pause after work that began then, by the monotonic clock: at least `every_s`, and ten times what it took.

    So large tables are looked at less often.
    """
    return max(every_s, (time.monotonic() - began_s) * 10)


class Repeating:
    """Does `work` again `every_s` after it ended, `retry_s` after something it needs did not answer.

    `work` gets an event that is set when it shall end early, and may give its own pause in seconds. No error ends
    the repetition: it is logged. Without `at_once` a pause comes before the first time.
    """

    def __init__(
        self, name: str, work: Work, every_s: float, *, retry_s: float | None = None, at_once: bool = True
    ) -> None:
        self._name = name
        self._work = work
        self._every_s = every_s
        self._retry_s = every_s if retry_s is None else retry_s
        self._first_s = 0.0 if at_once else every_s
        self._stopping = threading.Event()
        self._roused = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Cut the present pause short; from any thread."""
        self._roused.set()

    def close(self) -> None:
        """End after the step in hand."""
        self._stopping.set()
        self._roused.set()
        self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        pause_s = self._first_s
        while not self._ended_within(pause_s):
            pause_s = self._once()

    def _ended_within(self, pause_s: float) -> bool:
        self._roused.wait(pause_s)
        self._roused.clear()
        return self._stopping.is_set()

    def _once(self) -> float:
        try:
            asked_s = self._work(self._stopping)
        except AGAIN_LATER as exc:
            _LOG.warning("background_work_waits", work=self._name, reason=str(exc))
            return self._retry_s
        except Exception:
            _LOG.exception("background_work_failed", work=self._name)
            return self._every_s
        return self._every_s if asked_s is None else asked_s
