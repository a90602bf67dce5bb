"""Taking a person's wish to have all their feedback erased."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flywheel_schemas.tokens import TokenKeys
from ingest.application.ports import Erasures


@dataclass(frozen=True, slots=True)
class Erasing:
    """An erasure that has begun: everything received up to `erased_before` counts no more."""

    erasure_id: str
    erased_before: datetime


class Erase:
    """Asks for erasures. A user is known here by name, and from here on only by the keyed hash."""

    def __init__(self, erasures: Erasures, keys: TokenKeys, now: Callable[[], datetime]) -> None:
        self._erasures = erasures
        self._keys = keys
        self._now = now

    def __call__(self, user_id: str, asked_by: str) -> Erasing:
        """Returns when the wish is kept. Raises SourceAway: then nothing was asked for. Blocks; call it in a thread."""
        now = self._now()
        return Erasing(self._erasures.ask(self._keys.user_hash(user_id), now, asked_by), now)
