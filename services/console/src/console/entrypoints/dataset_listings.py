"""The tables of the dataset pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from console.domain.tables import Column, Table
from console.entrypoints.listings import moment

_OPERATIONS = {"WRITE": "rows added", "RESTORE": "rolled back", "DELETE": "rows removed", "OPTIMIZE": "files merged"}
# What is listed, and nobody can decide about any more.
_GONE = ("erased", "rolled_back")
_NOTHING_STORED = "No feedback was stored yet."


def versions_table(versions: Sequence[Mapping[str, Any]], name: str) -> Table:
    """A dataset's versions, each with what it changed and the way back to it."""
    columns = [
        Column("version", "Version", "number"),
        Column("at", "When", "time"),
        Column("operation", "What"),
        Column("rows", "Rows added", "number"),
        Column("who", "Who"),
        Column("note", "Why"),
        Column("changes", "", link=f"/datasets/{name}/diff?from={{before}}&to={{version}}"),
        Column("rollback", "", link=f"/datasets/{name}/rollback?version={{version}}"),
    ]
    newest = max((each["version"] for each in versions), default=0)
    rows = [
        {
            **each,
            "operation": _OPERATIONS.get(each["operation"], each["operation"].lower()),
            "before": each["version"] - 1,
            "changes": "what changed" if each["version"] else None,
            "rollback": "back to it" if each["version"] < newest else None,
        }
        for each in versions
    ]
    return Table("versions", "Versions", columns, rows, _NOTHING_STORED, at_first=10)


def summary_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A dataset's rows, counted."""
    columns = [
        Column("event_date", "Day (UTC)", "day"),
        Column("source", "Source"),
        Column("kind", "Kind"),
        Column("label", "Label"),
        Column("rows", "Rows", "number"),
    ]
    shown = [{**row, "event_date": str(row["event_date"])} for row in rows]
    return Table("summary", "Rows by day, source and label", columns, shown, _NOTHING_STORED)


def changes_table(diff: Mapping[str, Any]) -> Table:
    """What leads from one version of a dataset to another, by day, source, model version and label."""
    columns = [
        Column("day", "Day (UTC)", "day"),
        Column("source", "Source"),
        Column("model_version", "Answered by version", "number"),
        Column("label", "Label"),
        Column("added", "Added", "number"),
        Column("removed", "Removed", "number"),
        Column("relabelled", "Relabelled", "number"),
    ]
    return Table("changes", "What differs", columns, diff["changes"], "They hold the same rows.")


def quarantine_table(held: Mapping[str, Any], name: str) -> Table:
    """What is kept apart, and what was decided about it."""
    columns = [
        Column("event_id", "Event", "id", link="/feedback/{value}"),
        Column("status", "State", "state"),
        Column("reason", "Why it is kept apart", "long"),
        Column("received_at", "Received", "time"),
        Column("who", "Decided by"),
        Column("decided_at", "Decided", "time"),
        Column("why", "Because"),
        Column("release", "", link=f"/datasets/{name}/quarantine/{{event_id}}/release"),
        Column("drop", "", link=f"/datasets/{name}/quarantine/{{event_id}}/drop"),
    ]
    return Table("quarantine", "Quarantine", columns, [_kept_apart(each) for each in held["events"]], "It is empty.")


def erasures_table(erasures: Sequence[Mapping[str, Any]]) -> Table:
    """What people had erased. It names no user."""
    columns = [
        Column("erasure_id", "Erasure", "id", link="/erasures/{value}"),
        Column("asked_at", "Asked", "time"),
        Column("asked_by", "Asked by"),
        Column("state", "State", "state"),
        Column("rows", "Rows", "number"),
        Column("versions", "Models that had learned from it"),
    ]
    rows = [
        {
            "erasure_id": each["erasure_id"],
            "asked_at": moment(each["asked_at"]),
            "asked_by": each["asked_by"],
            "state": "done" if each["completed_at"] else "under way",
            "rows": sum(sum(counts.values()) for counts in each["rows"].values()),
            "versions": ", ".join(f"{model} {' '.join(found)}" for model, found in each["versions"].items()) or "none",
        }
        for each in erasures
    ]
    return Table("erasures", "Erasures", columns, rows, "Nobody has asked for one yet.")


def erased_table(erasure: Mapping[str, Any]) -> Table:
    """What one erasure took, by model."""
    columns = [
        Column("model", "Model", link="/models/{value}"),
        Column("feedback", "Feedback erased", "number"),
        Column("predictions", "Predictions erased", "number"),
        Column("versions", "Versions that had learned from it"),
    ]
    rows = [
        {"model": model, **counts, "versions": ", ".join(erasure["versions"].get(model, ())) or "none"}
        for model, counts in erasure["rows"].items()
    ]
    return Table("erased", "What it took", columns, rows, "Nothing of this user was found so far.")


def _kept_apart(event: Mapping[str, Any]) -> dict[str, Any]:
    decision = event["decision"] or {"who": None, "at": None, "why": None}
    status = event["reason"] if event["reason"] in _GONE else event["status"]
    held = status == "held"
    return {
        **{name: event[name] for name in ("event_id", "reason")},
        "status": status,
        "received_at": moment(event["received_at"]),
        "who": decision["who"],
        "decided_at": moment(decision["at"]),
        "why": decision["why"],
        "release": "release" if held else None,
        "drop": "drop" if held else None,
    }
