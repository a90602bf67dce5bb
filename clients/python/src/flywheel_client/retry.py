"""When to try again."""

import email.utils
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from flywheel_client.errors import FlywheelError, Transient, Unreachable


@dataclass(frozen=True, slots=True)
class Retry:
    """At most `attempts` tries with exponential waits and equal jitter; `attempts=1` never tries again.

    A service's Retry-After goes before; one longer than `longest_s` ends the tries, since the caller knows better.
    """

    attempts: int = 5
    first_s: float = 0.2
    longest_s: float = 30.0
    chance: Callable[[], float] = random.random

    def wait_s(self, attempt: int, error: FlywheelError) -> float | None:
        """Seconds until the next try after the failed `attempt` (1 for the first); None: give up."""
        if attempt >= self.attempts or not isinstance(error, Transient | Unreachable):
            return None
        backoff = min(self.longest_s, self.first_s * 2.0 ** (attempt - 1)) * (0.5 + self.chance() / 2)
        asked = error.retry_after_s if isinstance(error, Transient) else None
        if asked is not None and asked > self.longest_s:
            return None
        return max(backoff, asked or 0.0)


def retry_after_s(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for: a number or an HTTP date; None where it cannot be read."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
