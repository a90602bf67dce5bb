"""Which version of each model serves, as the model-updated topic tells."""

from flywheel_schemas.events import ModelAction, ModelUpdated
from flywheel_schemas.topics import MODEL_UPDATED
from kafka_runtime.follower import Follower
from kafka_runtime.record import Record
from kafka_runtime.settings import KafkaSettings


class FollowedChampions:
    """Follows model-updated from its beginning (it is compacted) in a thread of its own."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._follower = Follower(settings, MODEL_UPDATED)
        self._champions: dict[str, str] = {}

    def start(self) -> None:
        """Begin to follow; an outage of Kafka is waited out."""
        self._follower.start(self.take)

    def close(self) -> None:
        """Stop following."""
        self._follower.close()

    def of(self, model: str) -> str | None:
        """The version that serves `model`, or None where none is known to."""
        return self._champions.get(model)

    def take(self, record: Record) -> None:
        """Learn from one record of the topic."""
        if record.value is None:
            self._champions.pop(record.key.decode("utf-8", "replace"), None)
            return
        event = ModelUpdated.parse(record.value)
        champion = event.champion or (event.model_version if event.action is ModelAction.PROMOTED else None)
        if champion is not None:
            self._champions[event.model] = champion
