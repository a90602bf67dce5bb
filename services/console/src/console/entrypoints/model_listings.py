"""The tables of the model pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from console.domain.charts import number
from console.domain.tables import Cell, Column, Table
from console.entrypoints.listings import moment

METRICS = ("judged.auc", "judged.accuracy", "judged.log_loss", "judged.rmse", "judged.mae")


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
    metrics = [metric for metric in METRICS if any(metric in run["metrics"] for run in runs)]
    columns = [
        Column("version", "Version", "number", link=f"/models/{name}/versions/{{value}}"),
        Column("outcome", "Outcome", "state"),
        Column("reason", "Why"),
        Column("started_at", "Began", "time"),
        Column("seconds", "Seconds", "number"),
        *(Column(metric, metric.removeprefix("judged."), "number") for metric in metrics),
        Column("act", "", link=f"/models/{name}/promote?version={{version}}"),
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


def gates_table(gates: Sequence[Mapping[str, Any]]) -> Table:
    """Every gate with its verdict, why, and the figures behind it."""
    columns = [
        Column("gate", "Gate"),
        Column("verdict", "Verdict", "state"),
        Column("why", "Why", "long"),
        Column("figures", "Figures", "long"),
    ]
    rows = [
        {
            "gate": each["name"].replace("_", " "),
            "verdict": "passed" if each["passed"] else "failed",
            "why": each["reason"],
            "figures": ", ".join(f"{name} {_figure(value)}" for name, value in each["figures"].items()),
        }
        for each in gates
    ]
    return Table("gates", "Gates", columns, rows, "It went through no gates.")


def metrics_table(metrics: Mapping[str, float]) -> Table:
    """What was measured of a version when it was trained."""
    columns = [Column("metric", "Metric"), Column("value", "Value", "number")]
    rows: list[dict[str, Cell]] = [{"metric": name, "value": value} for name, value in sorted(metrics.items())]
    return Table("metrics", "Metrics at training", columns, rows, "Nothing was measured.")


def history_table(history: Sequence[Mapping[str, Any]]) -> Table:
    """The states that a version came into."""
    columns = [
        Column("at", "When", "time"),
        Column("state", "State", "state"),
        Column("traffic_percent", "Traffic, %", "number"),
        Column("who", "Who"),
        Column("reason", "Why", "long"),
    ]
    rows = [{**each, "at": moment(each["at"])} for each in history]
    return Table("history", "What became of it", columns, rows, "It is registered; nothing else has happened to it.")


def side_by_side_table(
    versions: tuple[Mapping[str, Any], Mapping[str, Any]], live: Sequence[Mapping[str, Any]], titles: tuple[str, str]
) -> Table:
    """The figures of two versions beside each other: what they do now, what audits say, what the gates saw."""
    both = [_summary(version, live) for version in versions]
    names = dict.fromkeys([*both[0], *both[1]])
    rows = [{"figure": name, "one": both[0].get(name), "other": both[1].get(name)} for name in names]
    columns = [Column("figure", "Figure"), Column("one", titles[0]), Column("other", titles[1])]
    return Table("beside", "Side by side", columns, rows, "There is nothing to compare.")


def _summary(version: Mapping[str, Any], live: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    passed = sum(gate["passed"] for gate in version["gates"])
    found = {
        "state": version["state"].replace("_", " "),
        "traffic": f"{version['traffic_percent']:g} %",
        "gates passed": f"{passed} of {len(version['gates'])}",
        "rows learned from": ", ".join(f"{rows:,} {source}" for source, rows in version["rows_by_source"].items()),
    }
    for each in live:
        if each["version"] == version["version"]:
            found |= {"predictions, last week": f"{each['predictions']:,}", "audited": f"{each['audits']:,}"}
            for name in ("accuracy", "mean_absolute_error", "satisfaction"):
                if each[name]["value"] is not None:
                    found[f"live {name.replace('_', ' ')}"] = _estimate(each[name])
    return found | {name.replace("judged.", "at the gates: "): number(version["metrics"][name])
                    for name in METRICS if name in version["metrics"]}  # fmt: skip


def _estimate(estimate: Mapping[str, Any]) -> str:
    interval = _interval(estimate)
    return f"{estimate['value']:.3f} ({interval})" if interval else f"{estimate['value']:.3f}"


def _figure(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _interval(estimate: Mapping[str, Any]) -> str | None:
    if estimate["low"] is None:
        return None
    return f"{estimate['low']:.3f} to {estimate['high']:.3f}"


def _seconds(run: Mapping[str, Any]) -> float | None:
    began, ended = moment(run["started_at"]), moment(run["ended_at"])
    return round((ended - began).total_seconds(), 1) if began and ended else None
