"""The two threads of the conductor: one reads the lake, one watches the guardrails."""

import threading
from collections.abc import Callable

from telemetry import logging
from trainer.application.conduct import Conductor
from trainer.entrypoints.errors import AGAIN_LATER

_LOG = logging.get("trainer")


class Conducting:
    """Looks every `look_every_s`; acts on what is known every `act_every_s`, and at once when a replica complains."""

    def __init__(self, conductor: Conductor, *, look_every_s: float = 2.0, act_every_s: float = 0.5) -> None:
        self._conductor = conductor
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._threads = tuple(
            threading.Thread(target=self._run, args=arguments, name=name, daemon=True)
            for name, arguments in (
                ("rollout-look", (conductor.look, self._stopping, look_every_s)),
                ("rollout-act", (conductor.act_on_all, self._wake, act_every_s)),
            )
        )

    def start(self) -> None:
        """Begin, in threads."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Act at once; from any thread."""
        self._wake.set()

    def close(self) -> None:
        """End after the step in hand."""
        self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(10.0)

    def _run(self, work: Callable[[], None], rouse: threading.Event, every_s: float) -> None:
        while not self._stopping.is_set():
            try:
                work()
            except AGAIN_LATER as exc:
                _LOG.warning("rollout_waits", reason=str(exc))
            except Exception:
                _LOG.exception("rollout_failed")
            rouse.wait(every_s)
            if rouse is self._wake:
                rouse.clear()
