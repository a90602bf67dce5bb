"""Work that goes on without a caller: trainings asked for over HTTP, mending after a crash, upkeep of tables."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from registry.runs import Run
from telemetry import logging, tracing
from trainer.application.ports import Runs
from trainer.application.recover import Recover
from trainer.application.train import Request, Train
from trainer.application.upkeep import KeepUp
from trainer.entrypoints.errors import AGAIN_LATER

_LOG = logging.get("trainer")


class Trainings:
    """Leads requested trainings to their outcome, one after the other."""

    def __init__(self, train: Train, runs: Runs) -> None:
        self._train = train
        self._runs = runs
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="training")

    def begin(self, model: str, reason: str) -> Run:
        """Open the run and go on in the background. Raises NoSuchModel, or what the ports raise."""
        request = Request(model, reason)
        run = self._train.open(request)
        self._pool.submit(self._lead, request, run, tracing.current_traceparent())
        return run

    def close(self) -> None:
        """Wait for the training under way; those that wait are dropped, and end as interrupted."""
        self._pool.shutdown(cancel_futures=True)

    def _lead(self, request: Request, run: Run, traceparent: str) -> None:
        with tracing.span("train", parent=traceparent):
            try:
                self._train.handle(request, run)
            except Exception as exc:
                _LOG.exception("training_failed", model=request.model, run_id=run.run_id)
                self._note_failure(run, exc)

    def _note_failure(self, run: Run, error: Exception) -> None:
        try:
            self._runs.fail(run.run_id, f"{type(error).__name__}: {error}")
        except AGAIN_LATER as exc:
            _LOG.error("failure_not_recorded", run_id=run.run_id, reason=str(exc))


class Mending:
    """Recovers at start, then sees every `every_s` that what the registry says has been announced."""

    def __init__(self, recover: Recover, every_s: float) -> None:
        self._recover = recover
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mending", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """End after the round in hand."""
        self._stopping.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stopping.is_set() and not self._tried(self._recover.interrupted_runs):
            self._stopping.wait(2.0)
        while not self._stopping.is_set():
            mended = self._tried(self._recover.announcements)
            self._stopping.wait(self._every_s if mended else 2.0)

    def _tried(self, mend: Callable[[], int]) -> bool:
        try:
            mend()
        except AGAIN_LATER as exc:
            _LOG.warning("mending_waits", reason=str(exc))
            return False
        except Exception:
            _LOG.exception("mending_failed")
        return True


class Tending:
    """Tends the tables of every model, `every_s` after it last did."""

    def __init__(self, keep_up: KeepUp, every_s: float) -> None:
        self._keep_up = keep_up
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """End after the model in hand; what is cut short is taken up by the next upkeep."""
        self._stopping.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                for _ in self._keep_up.all():
                    if self._stopping.is_set():
                        return
            except AGAIN_LATER as exc:
                _LOG.warning("upkeep_waits", reason=str(exc))
            except Exception:
                _LOG.exception("upkeep_failed")
