"""How much is taken on at once, and until when an answer is of use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from http_api.problems import FieldError, Problem, ProblemError

RETRY_AFTER = {"Retry-After": "1"}
TIMEOUT_HEADER = b"x-request-timeout"
_MAX_TIMEOUT_S = 3600.0


class Admission:
    """Takes on a bounded amount of work: beyond it a refusal at once beats a wait that grows for everybody.

    Work is measured in requests and in bytes of their bodies, from arrival to reply. A request is taken on while both
    are below their limits, so one body that is larger than `limit_bytes` is still answered.
    """

    def __init__(self, limit: int, limit_bytes: int, on_refusal: Callable[[], None]) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._on_refusal = on_refusal
        self._requests = self._bytes = 0

    @contextmanager
    def taking_on(self, size_bytes: int) -> Iterator[None]:
        """Hold a place for a request of `size_bytes`. Raises ProblemError 503 with Retry-After when there is none."""
        self.enter(size_bytes)
        try:
            yield
        finally:
            self.leave(size_bytes)

    @property
    def has_room(self) -> bool:
        """Whether one more request would be taken on."""
        return self._requests < self._limit and self._bytes < self._limit_bytes

    def enter(self, size_bytes: int) -> None:
        """As `taking_on`, for the hot route; `leave` must follow."""
        if not self.has_room:
            self._on_refusal()
            detail = "This replica has as much work as it can do soon; try again in a second."
            raise ProblemError(Problem(503, "Service Unavailable", detail, headers=RETRY_AFTER))
        self._requests += 1
        self._bytes += size_bytes

    def leave(self, size_bytes: int) -> None:
        """Give the place back."""
        self._requests -= 1
        self._bytes -= size_bytes


def timeout_of(text: str | None) -> float | None:
    """The header X-Request-Timeout in seconds; None where it was not sent. Raises ProblemError 400."""
    if text is None:
        return None
    try:
        timeout_s = float(text)
    except ValueError:
        timeout_s = 0.0
    if not 0.0 < timeout_s <= _MAX_TIMEOUT_S:
        detail = f"X-Request-Timeout is a number of seconds above 0 and up to {_MAX_TIMEOUT_S:g}, such as 0.2."
        raise ProblemError(Problem(400, "Bad Request", detail, [FieldError(detail)]))
    return timeout_s


def too_late() -> Problem:
    """The reply to a request whose deadline has passed."""
    detail = "The deadline in X-Request-Timeout passed before the answer was ready; nothing was predicted for you."
    return Problem(504, "Gateway Timeout", detail)
