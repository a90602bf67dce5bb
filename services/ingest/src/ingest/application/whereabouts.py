"""Where one piece of feedback is, and what it has taught."""

from dataclasses import dataclass

from ingest.application.ports import Champions, EventLog, Models, Sighting, SourceAway, StoredEvents


@dataclass(frozen=True, slots=True)
class EventStatus:
    """An event, the versions that were trained on it, and whether one of them serves."""

    event: Sighting
    trained_into: list[str]
    serving: bool


class Whereabouts:
    """Looks in the lake and in the log. Blocks; call it in a thread."""

    def __init__(self, models: Models, log: EventLog, stored: StoredEvents, champions: Champions) -> None:
        self._models = models
        self._log = log
        self._stored = stored
        self._champions = champions

    def find(self, event_id: str) -> EventStatus | None:
        """The event's status, or None where it is known to be nowhere.

        Raises SourceAway when it was not found and a place where it may be cannot be asked.
        """
        away: list[SourceAway] = []
        # Read first how far processing has come: what is stored while we look is then found in the log.
        try:
            position: int | None = self._log.processed_up_to(event_id)
        except SourceAway as error:
            position = None
            away.append(error)
        found = self._in_lake(event_id, away)
        if found is None and position is not None:
            found = self._in_log(event_id, position, away)
        if found is None:
            if away:
                raise away[0]
            return None
        trained = self._stored.trained_into(found) if found.status == "stored" else []
        return EventStatus(found, trained, self._champions.of(found.model) in trained)

    def _in_lake(self, event_id: str, away: list[SourceAway]) -> Sighting | None:
        try:
            return self._stored.find(event_id, self._models.names())
        except SourceAway as error:
            away.append(error)
            return None

    def _in_log(self, event_id: str, position: int, away: list[SourceAway]) -> Sighting | None:
        try:
            return self._log.dead_lettered(event_id) or self._log.waiting(event_id, position)
        except SourceAway as error:
            away.append(error)
            return None
