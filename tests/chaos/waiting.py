"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable

from kafka_runtime.errors import Retryable


def until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Return when `condition` holds. Raises AssertionError after `timeout_s`."""
    if not comes_true(condition, timeout_s):
        raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")


def comes_true(condition: Callable[[], bool], timeout_s: float, every_s: float = 0.1) -> bool:
    """Whether `condition` holds within `timeout_s`; returns at once when it does. An outage of Kafka is a not yet."""
    deadline = time.monotonic() + timeout_s
    while not _holds(condition):
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except Retryable:
        return False
