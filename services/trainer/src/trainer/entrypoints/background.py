"""What goes on without a caller: trainings asked for over HTTP, mending, upkeep, erasures, and rollouts."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from registry.runs import Run
from telemetry import logging, tracing
from trainer.application.conduct import Conductor
from trainer.application.erase import Erase
from trainer.application.ports import Runs
from trainer.application.recover import Recover
from trainer.application.train import Request, Train
from trainer.application.upkeep import KeepUp
from trainer.entrypoints.errors import AGAIN_LATER
from trainer.entrypoints.repeating import Repeating, rest_s

_LOG = logging.get("trainer")
_RETRY_S = 2.0
_LOOK_EVERY_S = 2.0
_ACT_EVERY_S = 0.5


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


def mending(recover: Recover, every_s: float) -> Repeating:
    """Recovers once, then sees again and again that what the registry says has been announced."""
    recovered = False

    def mend(_: threading.Event) -> None:
        nonlocal recovered
        if not recovered:
            recover.interrupted_runs()
            recovered = True
        recover.announcements()

    return Repeating("mending", mend, every_s, retry_s=_RETRY_S)


def upkeep(keep_up: KeepUp, every_s: float) -> Repeating:
    """Tends the tables of every model; what is cut short is taken up by the next time."""

    def tend(stopping: threading.Event) -> None:
        for _ in keep_up.all():
            if stopping.is_set():
                return

    return Repeating("upkeep", tend, every_s, at_once=False)


def erasing(erase: Erase, every_s: float) -> Repeating:
    """Works off erasures: soon after they are asked for, and until they are completed."""

    def work_off(_: threading.Event) -> None:
        if completed := erase():
            _LOG.info("erasures_completed", count=completed)

    return Repeating("erasing", work_off, every_s, at_once=False)


def measuring(measure: Callable[[], None], every_s: float) -> Repeating:
    """Measures models."""

    def round_(_: threading.Event) -> float:
        began = time.monotonic()
        measure()
        return rest_s(began, every_s)

    return Repeating("measuring", round_, every_s)


def conducting(conductor: Conductor) -> tuple[Repeating, Repeating]:
    """One reads the lake, one watches the guardrails: apart, so that these never wait for a slow table."""
    return (
        Repeating("rollout-look", lambda _: conductor.look(), _LOOK_EVERY_S),
        Repeating("rollout-act", lambda _: conductor.act_on_all(), _ACT_EVERY_S),
    )
