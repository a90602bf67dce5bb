"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable

from kafka_runtime.errors import Retryable


def until(condition: Callable[[], bool], timeout_s: float, what: str, every_s: float = 0.1) -> None:
    """Return when `condition` holds. An outage of Kafka counts as not yet. Raises AssertionError after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not _holds(condition):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(every_s)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except Retryable:
        return False
