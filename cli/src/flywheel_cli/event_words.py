"""What an event says, in a few words for a person at a terminal."""

from collections.abc import Callable, Mapping
from typing import Any

from kafka_runtime import cloud_events
from kafka_runtime.record import Record

_LONGEST = 160
Body = Mapping[str, Any]


def in_words(record: Record, body: Body) -> str:
    """One line, never longer than 160 characters, without control characters; it never fails, whatever the record."""
    if (reason := cloud_events.header(record.headers, "dlq_reason")) is not None:
        text = _dead_letter(record, reason)
    elif record.value is None:
        text = "deleted"
    elif not body:
        text = f"no JSON object: {record.value[:60]!r}"
    else:
        words = _WORDS.get(record.topic)
        text = words(body) if words else str(dict(body))
    printable = "".join(letter if letter.isprintable() else "�" for letter in text)
    return printable if len(printable) <= _LONGEST else f"{printable[: _LONGEST - 1]}…"


def _dead_letter(record: Record, reason: str) -> str:
    topic, partition, offset = (cloud_events.header(record.headers, f"dlq_{n}") for n in _PLACE)
    size = len(record.value or b"")
    return f"{reason} (from {topic}, partition {partition}, offset {offset}; {size:,} bytes)"


def _feedback(body: Body) -> str:
    said = [f"{body.get('kind')} for {body.get('model')}"]
    if body.get("label") is not None:
        said.append(f"label {body['label']}")
    if body.get("predicted") is not None:
        said.append(f"predicted {body['predicted']} by version {body.get('model_version')}")
    if body.get("rating") is not None:
        said.append(f"rating {body['rating']}")
    if body.get("audited"):
        said.append("audited")
    return ", ".join(said)


def _prediction(body: Body) -> str:
    asked = ", feedback asked for" if body.get("audited") else ""
    return (
        f"{body.get('model')} version {body.get('model_version')} ({body.get('variant')}) said {body.get('label')}"
        f" in {body.get('latency_ms')} ms{asked}"
    )


def _committed(body: Body) -> str:
    return (
        f"{body.get('rows')} rows in version {body.get('dataset_version')}, {body.get('duplicates')} duplicates, "
        f"{body.get('quarantined')} quarantined ({body.get('topic')}/{body.get('partition')} "
        f"offsets {body.get('first_offset')} to {body.get('last_offset')})"
    )


def _threshold(body: Body) -> str:
    return (
        f"retrain on {body.get('reason')}: {body.get('observed')} of {body.get('threshold')} "
        f"at version {body.get('dataset_version')}, trigger {body.get('trigger_id')}"
    )


def _updated(body: Body) -> str:
    why = f": {body['reason']}" if body.get("reason") else ""
    return f"version {body.get('model_version')} {body.get('action')}, {body.get('traffic_percent')} % of traffic{why}"


_PLACE = ("topic", "partition", "offset")
_WORDS: dict[str, Callable[[Body], str]] = {
    "feedback-events": _feedback,
    "predictions": _prediction,
    "dataset-committed": _committed,
    "threshold-reached": _threshold,
    "model-updated": _updated,
}
