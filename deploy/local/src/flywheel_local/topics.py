"""The topics of the services, made before the services start."""

from collections.abc import Mapping


def ensure_topics(environment: Mapping[str, str]) -> None:
    """Makes the missing ones on the Kafka that the environment names, as the services would."""
    from kafka_runtime import topics
    from kafka_runtime.settings import KafkaSettings

    values = {name.removeprefix("KAFKA_").lower(): text for name, text in environment.items()}
    known = {name: text for name, text in values.items() if name in KafkaSettings.model_fields}
    topics.ensure(KafkaSettings.model_validate(known))
