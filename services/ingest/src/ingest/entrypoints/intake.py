"""One event's bytes through parsing and the desk, for single feedback and for batches alike."""

from collections.abc import Awaitable, Callable

from http_api.body import too_large
from http_api.problems import ProblemError
from ingest.application.accepting import Desk
from ingest.application.ports import Accepted
from ingest.domain.limits import MAX_EVENT_BYTES
from ingest.domain.refusals import Refused
from ingest.domain.submission import Arrival, Submission
from ingest.entrypoints import parsing


class Intake:
    """Takes events. `look_for_models` reads the specs anew, for models that were added this moment."""

    def __init__(self, desk: Desk, look_for_models: Callable[[], Awaitable[None]]) -> None:
        self._desk = desk
        self.look_for_models = look_for_models

    def take(self, raw: bytes, arrival: Arrival) -> Accepted:
        """The event to publish. Raises Refused or ProblemError."""
        return self.decide(raw, parsing.quick(raw) if len(raw) <= MAX_EVENT_BYTES else None, arrival)

    def take_plain(self, raw: bytes, arrival: Arrival) -> Accepted | None:
        """The event to publish, or None where the careful way must decide."""
        quick = parsing.quick(raw)
        if quick is None:
            return None
        try:
            return self._desk.accept(quick, arrival)
        except Refused:
            return None

    def decide(self, raw: bytes, quick: Submission | None, arrival: Arrival) -> Accepted:
        """As `take`, where the quick way has been tried: `quick` is what it found in `raw`."""
        if len(raw) > MAX_EVENT_BYTES:
            raise ProblemError(too_large(MAX_EVENT_BYTES))
        if quick is not None:
            try:
                return self._desk.accept(quick, arrival)
            except Refused:
                pass  # the careful way decides, and explains
        return self._desk.accept(parsing.careful(raw, self._desk.models.get), arrival)
