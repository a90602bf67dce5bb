"""How long to wait before the next attempt."""

FIRST_S = 0.5
LONGEST_S = 30.0


def delay_s(attempt: int, retry_after_s: float | None = None) -> float:
    """Seconds before attempt `attempt` + 1, counted from 1: doubling from half a second to thirty.

    What the error itself asks for (`retry_after_s`) is the least, never more than thirty seconds.
    """
    doubled = FIRST_S * 2.0 ** min(attempt - 1, 10)
    return min(max(doubled, retry_after_s or 0.0), LONGEST_S)
