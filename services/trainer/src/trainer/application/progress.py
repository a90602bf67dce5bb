"""What the trainer does now, for people who wait for it, and how long each stage took."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from telemetry import logging, metrics, tracing

_STAGE_SECONDS = metrics.histogram(
    "flywheel_training_stage_duration_seconds",
    "How long each stage of a training took.",
    ("stage",),
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
_RUNNING = metrics.gauge("flywheel_training_in_progress", "Trainings that are running now.", ("model",))
_LOG = logging.get("trainer")


@dataclass(frozen=True, slots=True)
class Running:
    """A training under way: since when, on a monotonic clock, it has been in `stage`."""

    model: str
    run_id: str
    stage: str
    since_s: float


class InProgress:
    """The trainings under way in this process. Safe to ask from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Running] = {}

    def of(self, model: str) -> Running | None:
        """The model's training under way, or None."""
        with self._lock:
            return self._running.get(model)

    @contextmanager
    def training(self, model: str, run_id: str) -> Iterator[None]:
        """Runs the block as the training of `model`."""
        with self._lock:
            self._running[model] = Running(model, run_id, "starting", time.monotonic())
        _RUNNING.labels(model).set(1)
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(model, None)
            _RUNNING.labels(model).set(0)

    @contextmanager
    def stage(self, model: str, name: str) -> Iterator[None]:
        """Runs the block as one stage of the model's training."""
        began = time.monotonic()
        with self._lock:
            if model in self._running:
                self._running[model] = replace(self._running[model], stage=name, since_s=began)
        with tracing.span(f"training {name}", attributes={"flywheel.model": model}):
            yield
        took = time.monotonic() - began
        _STAGE_SECONDS.labels(name).observe(took)
        _LOG.info("training_stage_done", model=model, stage=name, took_s=round(took, 3))
