"""Everything that can go wrong, as one tree.

FlywheelError
├── ApiError                 a service answered with an error; `status`, `detail`, `errors` and `event_id` say which
│   ├── Invalid              400, 415, 422: what was sent must be mended; `errors` names each field
│   │   └── TooLarge         413: send less at a time
│   ├── Unauthorized         401: no key, a wrong key, or a feedback token that is not believed
│   ├── Forbidden            403: the key lacks a role
│   ├── NotFound             404: no such model or event
│   ├── Conflict             409
│   ├── Transient            the same may succeed later; `retry_after_s` says when
│   │   ├── TooManyRequests  429
│   │   └── Unavailable      5xx
│   └── Unexpected           any other status, or an answer that cannot be read
├── Unreachable              no answer: refused, cut off or too late
├── QueueFull                the queue's bound was reached; the feedback was not taken
└── QueueClosed              the queue takes nothing any more
"""

from collections.abc import Mapping, Sequence

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One thing to mend: what is wrong, and where (RFC 6901 pointer into what was sent)."""

    detail: str
    pointer: str = ""


class FlywheelError(Exception):
    """The root of all that this package raises on purpose."""


class ApiError(FlywheelError):
    """A service answered with an error (RFC 9457)."""

    def __init__(
        self, status: int, detail: str, errors: Sequence[FieldError] = (), event_id: str | None = None
    ) -> None:
        named = "".join(f"\n  {error.pointer or '/'}: {error.detail}" for error in errors)
        super().__init__(f"{status}: {detail}{named}")
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.event_id = event_id


class Invalid(ApiError):
    """What was sent must be mended; sending it again is of no use."""


class TooLarge(Invalid):
    """Longer than the service takes at once."""


class Unauthorized(ApiError):
    """No key, a wrong key, or a feedback token that is not believed."""


class Forbidden(ApiError):
    """The key lacks a role."""


class NotFound(ApiError):
    """No such model or event."""


class Conflict(ApiError):
    """It contradicts what is there."""


class Transient(ApiError):
    """The same may succeed later. `retry_after_s` is None where the service did not say when."""

    retry_after_s: float | None = None


class TooManyRequests(Transient):
    """More is sent than the service takes."""


class Unavailable(Transient):
    """The service cannot do its job at the moment."""


class Unexpected(ApiError):
    """A status or an answer that this client does not know."""


class Unreachable(FlywheelError):
    """No answer came. What was sent may or may not have arrived; feedback may be sent again under its event_id."""


class QueueFull(FlywheelError):
    """The queue's bound was reached; the feedback was not taken."""


class QueueClosed(FlywheelError):
    """The queue was closed; the feedback was not taken."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    415: Invalid,
    422: Invalid,
    429: TooManyRequests,
}


class _Document(msgspec.Struct):
    detail: str = ""
    title: str = ""
    errors: Sequence[FieldError] = ()
    event_id: str | None = None


def error_of(status: int, body: bytes, retry_after_s: float | None = None) -> ApiError:
    """The error that an answer with `status` (400 or more) is."""
    try:
        document = msgspec.json.decode(body, type=_Document)
    except msgspec.MsgspecError:
        document = _Document(detail=body[:200].decode("utf-8", "replace"))
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else Unexpected)
    error = kind(status, document.detail or document.title, document.errors, document.event_id)
    if isinstance(error, Transient):
        error.retry_after_s = retry_after_s
    return error
