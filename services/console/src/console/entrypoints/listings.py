"""The pages' tables: which columns, and how an answer becomes rows."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from console.application.ports import Recorded
from console.domain.overview import ServedModel
from console.domain.tables import Column, Table

_METRICS = ("judged.auc", "judged.accuracy", "judged.log_loss", "judged.rmse", "judged.mae")
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


def served_table(served: Mapping[str, Any]) -> Table:
    """The versions that inference has of one model."""
    columns = [
        Column("version", "Version", "number"),
        Column("state", "State", "state"),
        Column("traffic_percent", "Traffic, %", "number"),
        Column("loaded", "Loaded"),
        Column("reason", "Why not"),
    ]
    rows = [{**each, "loaded": "yes" if each["loaded"] else "no"} for each in served["versions"]]
    return Table("versions", "What serves", columns, rows, "No version serves yet.")


def runs_table(runs: Sequence[Mapping[str, Any]], name: str) -> Table:
    """Every training, with its first figures."""
    metrics = [metric for metric in _METRICS if any(metric in run["metrics"] for run in runs)]
    columns = [
        Column("version", "Version", "number"),
        Column("outcome", "Outcome", "state"),
        Column("reason", "Why"),
        Column("started_at", "Began", "time"),
        Column("seconds", "Seconds", "number"),
        *(Column(metric, metric.removeprefix("judged."), "number") for metric in metrics),
        Column("act", "", "text", link=f"/models/{name}/promote?version={{version}}"),
    ]
    rows = [
        {
            **{column: run[column] for column in ("version", "reason")},
            "outcome": "failed" if run["failed"] else run["outcome"] or "under way",
            "started_at": moment(run["started_at"]),
            "seconds": _seconds(run),
            **run["metrics"],
            "act": "promote" if run["version"] else None,
        }
        for run in runs
    ]
    return Table("runs", "Versions and trainings", columns, rows, "Nothing was trained yet.")


def quality_table(versions: Sequence[Mapping[str, Any]]) -> Table:
    """Quality by version, with its interval."""
    columns = [
        Column("version", "Version", "number"),
        Column("predictions", "Predictions", "number"),
        Column("audits", "Audited", "number"),
        Column("accuracy", "Accuracy", "number"),
        Column("interval", "95 % interval"),
        Column("error", "Mean absolute error", "number"),
        Column("satisfaction", "Stars", "number"),
    ]
    rows = [
        {
            "version": each["version"],
            "predictions": each["predictions"],
            "audits": each["audits"],
            "accuracy": each["accuracy"]["value"],
            "interval": _interval(each["accuracy"]),
            "error": each["mean_absolute_error"]["value"],
            "satisfaction": each["satisfaction"]["value"],
        }
        for each in versions
    ]
    return Table("quality", "Live quality by version", columns, rows, "Nothing was audited yet.")


def audit_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Who did what."""
    columns = [
        Column("at", "When", "time"),
        Column("who", "Who"),
        Column("action", "What", "state"),
        Column("version", "Version", "number"),
        Column("reason", "Why"),
    ]
    rows = [
        {**{key: each.get(key) for key in ("who", "action", "version", "reason")}, "at": moment(each["at"])}
        for each in entries
    ]
    return Table("audit", "Who did what", columns, rows, "Nobody has acted on it yet.")


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


def parsed(record: Recorded) -> dict[str, Any] | None:
    """The event in a record; None for what is no JSON object."""
    try:
        event = json.loads(record.value)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False)


def _interval(estimate: Mapping[str, Any]) -> str | None:
    if estimate["low"] is None:
        return None
    return f"{estimate['low']:.3f} to {estimate['high']:.3f}"


def moment(text: str | None) -> datetime | None:
    """The time that a service's answer names."""
    return datetime.fromisoformat(text) if text else None


def _seconds(run: Mapping[str, Any]) -> float | None:
    began, ended = moment(run["started_at"]), moment(run["ended_at"])
    return round((ended - began).total_seconds(), 1) if began and ended else None
