"""The pages' tables: which columns, and how an answer becomes rows."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from console.application.ports import Recorded
from console.domain.overview import ServedModel
from console.domain.tables import Column, Table

_NO_MODEL = "No model yet. flywheel model add SPEC.yaml --base FILE adds the first one."


def models_table(models: Sequence[ServedModel]) -> Table:
    """Every model's versions."""
    rows: list[dict[str, Any]] = []
    for model in sorted(models, key=lambda each: each.name):
        rows += [
            {
                "model": model.name,
                "task": model.task,
                "version": version.version,
                "state": version.state,
                "traffic": version.traffic_percent,
                "loaded": "yes" if version.loaded else "no",
            }
            for version in model.versions
        ] or [{"model": model.name, "task": model.task, "state": "no version yet"}]
    columns = [
        Column("model", "Model", link="/models/{value}"),
        Column("task", "Task"),
        Column("version", "Version", "number"),
        Column("state", "State", "state"),
        Column("traffic", "Traffic, %", "number"),
        Column("loaded", "Loaded"),
    ]
    return Table("models", "What serves", columns, rows, _NO_MODEL)


def stream_table(records: Sequence[Recorded]) -> Table:
    """Feedback as it arrives."""
    columns = [
        Column("at", "When", "time"),
        Column("event_id", "Event", "id", link="/feedback/{value}"),
        Column("model", "Model"),
        Column("kind", "Kind", "state"),
        Column("predicted", "Answered"),
        Column("label", "Right"),
        Column("rating", "Stars", "number"),
        Column("comment", "Comment", "long"),
        Column("source", "Source"),
    ]
    rows = []
    for record in records:
        event = parsed(record) or {}
        rows.append(
            {
                **{column.key: _plain(event.get(column.key)) for column in columns},
                "at": record.at,
                "event_id": record.key,
            }
        )
    return Table("stream", "Latest feedback", columns, rows, "No feedback has arrived yet.")


def letters_table(letters: Sequence[Recorded]) -> Table:
    """What could not be processed."""
    columns = [
        Column("at", "When", "time"),
        Column("key", "Event", "id"),
        Column("topic", "Came from"),
        Column("reason", "Why"),
        Column("look", "", link="/alerts/letters/{partition}/{offset}"),
    ]
    rows = [
        {
            "at": letter.at,
            "key": letter.key,
            "topic": letter.headers.get("dlq_topic"),
            "reason": letter.headers.get("dlq_reason"),
            "look": "look into",
            "partition": letter.partition,
            "offset": letter.offset,
        }
        for letter in letters
    ]
    return Table("letters", "Dead letters", columns, rows, "Everything that arrived could be processed.")


def drift_table(drift: Mapping[str, Any] | None, samples: Sequence[Mapping[str, Any]]) -> Table:
    """How far each column has moved: now, and at most so far."""
    columns = [
        Column("name", "Column"),
        Column("psi", "PSI now", "number"),
        Column("noise", "Chance alone, at most", "number"),
        Column("largest", "Largest PSI so far", "number"),
    ]
    seen = drift or {"scores": None, "features": []}
    rows = [
        {
            **{key: each[key] for key in ("name", "psi", "noise")},
            "largest": max((sample["psi"].get(each["name"], 0.0) for sample in samples), default=None),
        }
        for each in ([seen["scores"]] if seen["scores"] else []) + seen["features"]
    ]
    return Table("columns", "How far each column has moved", columns, rows, "Nothing is compared yet.")


def parsed(record: Recorded) -> dict[str, Any] | None:
    """The event in a record; None for what is no JSON object."""
    try:
        event = json.loads(record.value)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False)


def moment(text: str | None) -> datetime | None:
    """The time that a service's answer names."""
    return datetime.fromisoformat(text) if text else None
