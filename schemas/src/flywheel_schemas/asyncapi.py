"""The topics as an AsyncAPI 3 document with Kafka bindings 0.5.0, generated from `topics` and `events`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flywheel_schemas import topics
from flywheel_schemas.topics import Topic

BINDING_VERSION = "0.5.0"
_SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
_ENCODINGS = {"event_id": "a UUID", "prediction_id": "a UUID", "model": "a model's name", "as read": "as it came"}
_TITLES = {
    "feedback-events": "People's feedback, one event each",
    "feedback-dead-letter": "Records that cannot be used, as they came",
    "predictions": "What each version answered, and to which features",
    "dataset-committed": "Rows of one partition have reached a model's table",
    "threshold-reached": "A model should be retrained",
    "model-updated": "The present state of each model",
    "challenger-health": "How a challenger does in each replica of inference",
    "rollout-audit-log": "Who did what to which version, when and why",
}


@dataclass(frozen=True, slots=True)
class _Use:
    """One service's part in a topic. `group` is the consumer group where it reads as one."""

    service: str
    action: Literal["send", "receive"]
    topic: Topic
    summary: str
    group: str | None = None


_USES = (
    _Use("ingest", "send", topics.FEEDBACK_EVENTS, "Publishes feedback that was validated, before it answers 202."),
    _Use(
        "streamProcessor",
        "receive",
        topics.FEEDBACK_EVENTS,
        "Writes feedback into the lake, each event once.",
        "flywheel-stream-processor-reader",
    ),
    _Use("inference", "send", topics.PREDICTIONS, "Publishes every answer."),
    _Use(
        "streamProcessor",
        "receive",
        topics.PREDICTIONS,
        "Writes predictions into the lake, each once.",
        "flywheel-stream-processor-reader",
    ),
    _Use("streamProcessor", "send", topics.FEEDBACK_DEAD_LETTER, "Puts aside what cannot be used, and says why."),
    _Use("trainer", "send", topics.FEEDBACK_DEAD_LETTER, "Puts aside triggers that cannot be read, and says why."),
    _Use("streamProcessor", "send", topics.DATASET_COMMITTED, "Announces each commit of feedback to the lake."),
    _Use(
        "streamProcessor",
        "receive",
        topics.DATASET_COMMITTED,
        "Counts towards the model's threshold.",
        "flywheel-stream-processor",
    ),
    _Use("streamProcessor", "send", topics.THRESHOLD_REACHED, "Announces each crossing; again after a restart."),
    _Use("trainer", "send", topics.THRESHOLD_REACHED, "Announces a retraining that a person asked for."),
    _Use("trainer", "receive", topics.THRESHOLD_REACHED, "Retrains once for each trigger_id.", "flywheel-trainer"),
    _Use("trainer", "send", topics.MODEL_UPDATED, "Announces each transition of a version, after the registry has it."),
    _Use(
        "inference", "receive", topics.MODEL_UPDATED, "Swaps the version that serves. Reads all partitions, no group."
    ),
    _Use("inference", "send", topics.CHALLENGER_HEALTH, "Tells how a challenger does, every second."),
    _Use(
        "trainer",
        "receive",
        topics.CHALLENGER_HEALTH,
        "Takes a failing challenger back. No group.",
    ),
    _Use("trainer", "send", topics.ROLLOUT_AUDIT_LOG, "Tells of each action on a version, by a person or by itself."),
)


def document(published: Mapping[str, str], samples: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The AsyncAPI document.

    `published` maps an event's name to the path of its JSON Schema, relative to the document;
    `samples` maps it to its samples by name.
    """
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Flywheel events",
            "version": "1.0.0",
            "description": (
                "Values are JSON. Headers are those of CloudEvents 1.0 in Kafka's binary content mode, and W3C "
                "traceparent. A record without value is a tombstone. Optional fields may be added to an event; "
                "anything else is a new version, with a type of its own."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrapServers}",
                "protocol": "kafka",
                "description": "The cluster that KAFKA_BOOTSTRAP_SERVERS names.",
                "variables": {"bootstrapServers": {"default": "127.0.0.1:9092"}},
                "bindings": {"kafka": {"bindingVersion": BINDING_VERSION}},
            }
        },
        "channels": {topic.name: _channel(topic) for topic in topics.ALL_TOPICS},
        "operations": dict(_operation(use) for use in _USES),
        "components": {
            "messages": {topic.event: _message(topic, published, samples) for topic in topics.ALL_TOPICS},
            "schemas": {"traceparent": _TRACEPARENT, "deadLetterHeaders": _DEAD_LETTER_HEADERS},
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    partitions = topics.DEFAULT_PARTITIONS if topic.high_volume else topics.DEFAULT_CONTROL_PARTITIONS
    variable = "KAFKA_PARTITIONS" if topic.high_volume else "KAFKA_PARTITIONS_CONTROL"
    configuration: dict[str, Any] = {"cleanup.policy": [topic.cleanup]}
    if topic.retention_ms is not None:
        configuration["retention.ms"] = topic.retention_ms
    if topic.max_message_bytes is not None:
        configuration["max.message.bytes"] = topic.max_message_bytes
    return {
        "address": topic.name,
        "title": _TITLES[topic.name],
        "description": f"The partition count is that of {variable}, fixed for the life of the topic.",
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {topic.event: {"$ref": f"#/components/messages/{topic.event}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": partitions,
                "topicConfiguration": configuration,
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _operation(use: _Use) -> tuple[str, dict[str, Any]]:
    words = "".join(word.capitalize() for word in use.topic.name.split("-"))
    operation: dict[str, Any] = {
        "action": use.action,
        "channel": {"$ref": f"#/channels/{use.topic.name}"},
        "summary": use.summary,
        "messages": [{"$ref": f"#/channels/{use.topic.name}/messages/{use.topic.event}"}],
    }
    if use.group:
        group = {"type": "string", "enum": [use.group]}
        operation["bindings"] = {"kafka": {"groupId": group, "bindingVersion": BINDING_VERSION}}
    return f"{use.service}{use.action.capitalize()}s{words}", operation


def _message(topic: Topic, published: Mapping[str, str], samples: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    key = {"type": "string", "description": f"{topic.key}: {_ENCODINGS[topic.key]}"}
    message: dict[str, Any] = {"name": topic.ce_type, "title": _TITLES[topic.name]}
    if topic.event not in published:
        return message | {
            "summary": "Key, value and headers of the record as they were, and headers that say why it is here.",
            "contentType": "application/octet-stream",
            "headers": {"$ref": "#/components/schemas/deadLetterHeaders"},
            "bindings": {"kafka": {"key": key, "bindingVersion": BINDING_VERSION}},
        }
    return message | {
        "contentType": "application/json",
        "headers": _cloud_event_headers(topic),
        "payload": {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": published[topic.event]}},
        "bindings": {"kafka": {"key": key, "bindingVersion": BINDING_VERSION}},
        "examples": [{"name": name, "payload": sample} for name, sample in samples[topic.event].items()],
    }


def _cloud_event_headers(topic: Topic) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"],
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_id": {"type": "string", "minLength": 1, "description": "With ce_source, names the event uniquely."},
            "ce_source": {"type": "string", "minLength": 1, "format": "uri-reference"},
            "ce_type": {"type": "string", "const": topic.ce_type},
            "ce_time": {"type": "string", "format": "date-time"},
            "content-type": {"type": "string", "const": "application/json"},
            "traceparent": {"$ref": "#/components/schemas/traceparent"},
        },
    }


_TRACEPARENT = {
    "type": "string",
    "description": "W3C Trace Context of the producer.",
    "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
}
_DEAD_LETTER_HEADERS = {
    "type": "object",
    "description": "The record's own headers, and these.",
    "required": ["dlq_reason", "dlq_topic", "dlq_partition", "dlq_offset", "dlq_exception"],
    "properties": {
        "dlq_reason": {"type": "string", "description": "Why it cannot be used, in a few words."},
        "dlq_topic": {"type": "string", "description": "Topic that it was read from."},
        "dlq_partition": {"type": "string", "pattern": "^[0-9]+$", "description": "Partition that it was read from."},
        "dlq_offset": {"type": "string", "pattern": "^[0-9]+$", "description": "Offset that it was read from."},
        "dlq_exception": {"type": "string", "description": "The error, for those who mend it."},
    },
}
