"""The Kafka topics: name, what the key is, the CloudEvents type and how long records stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

DAY_MS = 24 * 60 * 60 * 1000
DEFAULT_PARTITIONS = 6
DEFAULT_CONTROL_PARTITIONS = 3


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as every service expects to find it.

    `high_volume` topics get the deployment's partition count, which is fixed for the life of
    the topic: a key must stay in its partition, since deduplication is per partition.
    """

    name: str
    key: str
    event: str
    cleanup: Literal["delete", "compact"]
    retention_ms: int | None = None
    high_volume: bool = False
    max_message_bytes: int | None = None

    @property
    def ce_type(self) -> str:
        """CloudEvents type of the records, such as `dev.flywheel.feedback.v1`."""
        return f"dev.flywheel.{self.event}.v1"

    @property
    def config(self) -> dict[str, str]:
        """Topic configuration in Kafka's own names."""
        config: dict[str, str] = {"cleanup.policy": self.cleanup}
        if self.retention_ms is not None:
            config["retention.ms"] = str(self.retention_ms)
        if self.max_message_bytes is not None:
            config["max.message.bytes"] = str(self.max_message_bytes)
        return config


FEEDBACK_EVENTS = Topic("feedback-events", "event_id", "feedback", "delete", 7 * DAY_MS, high_volume=True)
# Twice Kafka's default: the largest record that a topic takes must still fit with its marks of death.
FEEDBACK_DEAD_LETTER = Topic(
    "feedback-dead-letter",
    "as read",
    "dead-letter",
    "delete",
    30 * DAY_MS,
    high_volume=True,
    max_message_bytes=2 * 1024 * 1024,
)
PREDICTIONS = Topic("predictions", "prediction_id", "prediction", "delete", 7 * DAY_MS, high_volume=True)
DATASET_COMMITTED = Topic("dataset-committed", "model", "dataset-committed", "delete", 7 * DAY_MS)
THRESHOLD_REACHED = Topic("threshold-reached", "model", "threshold-reached", "delete", 30 * DAY_MS)
MODEL_UPDATED = Topic("model-updated", "model", "model-updated", "compact")
CHALLENGER_HEALTH = Topic("challenger-health", "model", "challenger-health", "delete", DAY_MS)
ROLLOUT_AUDIT_LOG = Topic("rollout-audit-log", "model", "rollout-action", "delete", 365 * DAY_MS)

ALL_TOPICS = (
    FEEDBACK_EVENTS,
    FEEDBACK_DEAD_LETTER,
    PREDICTIONS,
    DATASET_COMMITTED,
    THRESHOLD_REACHED,
    MODEL_UPDATED,
    CHALLENGER_HEALTH,
    ROLLOUT_AUDIT_LOG,
)
BY_NAME = {topic.name: topic for topic in ALL_TOPICS}


def is_padding(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] | None) -> bool:
    """Whether a record says nothing at all: readers pass over it. It keeps an offset from being used a second time."""
    return not key and value is None and not headers
