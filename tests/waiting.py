"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import Any

from kafka_runtime.errors import Retryable

_REST, _LONGEST_REST_S = 9, 1.0


def until(
    condition: Callable[[], Any], timeout_s: float = 60.0, what: str = "the condition", *, every_s: float = 0.05
) -> Any:
    """What `condition` gives, once it is true. Raises AssertionError after `timeout_s`.

    What is dear to ask is asked less often, up to once a second: who waits must not slow what it waits for.
    """
    deadline = time.monotonic() + timeout_s
    began = time.monotonic()
    while not (found := _value(condition)):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(max(every_s, min(_REST * (time.monotonic() - began), _LONGEST_REST_S)))
        began = time.monotonic()
    return found


def comes_true(condition: Callable[[], Any], timeout_s: float, *, every_s: float = 0.1) -> bool:
    """Whether `condition` becomes true within `timeout_s`; returns at once when it does."""
    try:
        return bool(until(condition, timeout_s, every_s=every_s))
    except AssertionError:
        return False


def _value(condition: Callable[[], Any]) -> Any:
    """An outage of Kafka is a not yet."""
    try:
        return condition()
    except Retryable:
        return False
