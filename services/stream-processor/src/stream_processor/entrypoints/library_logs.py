"""What the libraries log: warnings and worse; in an outage each kind of line now and then, not hundreds a second."""

import logging
import time
from collections.abc import Callable

_QUIET = ("faust", "mode", "aiokafka")
_EVERY_S = 30.0


class OncePer(logging.Filter):
    """Lets a message through when none with the same template came through for `every_s`."""

    def __init__(self, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s = every_s
        self._clock = clock
        self._last_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        now_s, template = self._clock(), str(record.msg)
        if now_s - self._last_s.get(template, float("-inf")) < self._every_s:
            return False
        self._last_s[template] = now_s
        return True


def calm() -> None:
    """Apply this to the libraries' records; call it after logging was configured."""
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    limit = OncePer(_EVERY_S)
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: not record.name.startswith(_QUIET) or limit.filter(record))
