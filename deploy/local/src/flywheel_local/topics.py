"""The topics of the services, made before the services start."""

from collections.abc import Mapping


def ensure_topics(environment: Mapping[str, str]) -> None:
    """Makes the missing ones on the Kafka that the environment names, and returns when each partition answers."""
    from flywheel_schemas.topics import ALL_TOPICS
    from kafka_runtime import tail, topics
    from kafka_runtime.settings import KafkaSettings

    values = {name.removeprefix("KAFKA_").lower(): text for name, text in environment.items()}
    known = {name: text for name, text in values.items() if name in KafkaSettings.model_fields}
    settings = KafkaSettings.model_validate(known)
    topics.ensure(settings)
    for topic in ALL_TOPICS:
        tail.end_offsets(settings, topic, timeout_s=30.0)
