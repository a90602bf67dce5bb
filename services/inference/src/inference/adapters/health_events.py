"""Reports on challengers as records of the topic challenger-health."""

from flywheel_schemas.events import ChallengerHealth
from flywheel_schemas.topics import CHALLENGER_HEALTH
from inference.application.ports import SourceUnavailable
from kafka_runtime.errors import KafkaRuntimeError
from kafka_runtime.publisher import Publisher


class KafkaHealthLog:
    """Publishes and waits for the acknowledgement, so that a blown fuse is known to the trainer in milliseconds."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def publish(self, health: ChallengerHealth) -> None:
        """Raises SourceUnavailable."""
        try:
            self._publisher.publish(CHALLENGER_HEALTH, health.model, health)
        except KafkaRuntimeError as exc:
            raise SourceUnavailable(str(exc)) from exc
