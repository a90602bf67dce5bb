"""The pages' charts: which series."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from console.application.ports import Meter
from console.domain import charts, rates
from console.entrypoints.model_listings import METRICS

SCORES = "scores"
_MOST_COLUMNS = 3


def rates_chart(meter: Meter) -> charts.Chart | None:
    """Events per second over the last minutes."""
    samples = meter.samples()
    names = list(dict.fromkeys(name for sample in samples for name in sample.totals))
    series = {name: rates.rates(samples, name) for name in names}
    return charts.line_chart("Events per second", series, "/s")


def growth_chart(versions: Sequence[Mapping[str, Any]]) -> charts.Chart | None:
    """How a dataset grew."""
    rows, points = 0, []
    for each in sorted(versions, key=lambda one: one["version"]):
        rows += each["rows"]
        points.append((each["at"].timestamp(), float(rows)))
    return charts.line_chart("Rows added, by the versions shown", {"rows": points})


def evidence_chart(rollout: Mapping[str, Any] | None) -> charts.Chart | None:
    """A rollout's evidence over time."""
    evidence = (rollout or {}).get("evidence") or []
    series: dict[str, list[tuple[float, float]]] = {"lowest": [], "difference": [], "highest": []}
    for each in evidence:
        at = datetime.fromisoformat(each["at"]).timestamp()
        for name, key in (("lowest", "low"), ("difference", "difference"), ("highest", "high")):
            if each.get(key) is not None:
                series[name].append((at, float(each[key])))
    return charts.line_chart("Challenger less champion, with its confidence sequence", series)


def versions_chart(runs: Sequence[Mapping[str, Any]]) -> charts.Chart | None:
    """Every version on a time line, at the first figure that its gates judged by."""
    metric = next((name for name in METRICS if any(name in run["metrics"] for run in runs)), None)
    judged = (run for run in runs if run["version"] and metric in run["metrics"])
    measured = [
        charts.Measured(
            _at_s({"at": run["started_at"]}), run["metrics"][metric], str(run["version"]),
            (run["outcome"] or "").replace("_", "-"),
        )
        for run in sorted(judged, key=lambda run: str(run["started_at"]))
    ]  # fmt: skip
    title = f"Versions on a time line, by {(metric or '').removeprefix('judged.').replace('_', ' ')} at the gates"
    return charts.mark_chart(title, measured, over_time=True)


def quality_chart(versions: Sequence[Mapping[str, Any]], served: Mapping[str, Any]) -> charts.Chart | None:
    """Live quality of each version with its 95 % interval: the accuracy, else the mean absolute error."""
    name = "accuracy" if any(each["accuracy"]["value"] is not None for each in versions) else "mean_absolute_error"
    kinds = {served["champion"]: "champion", served["challenger"]: "challenger"}
    measured = [
        charts.Measured(
            float(place), each[name]["value"], f"{each['version']} ({each['audits']:,} audited)",
            kinds.get(each["version"], ""), each[name]["low"], each[name]["high"],
        )
        for place, each in enumerate(versions)
        if each[name]["value"] is not None
    ]  # fmt: skip
    title = f"Live {name.replace('_', ' ')} by version, with its 95 % interval"
    return charts.mark_chart(title, measured, over_time=False)


def psi_chart(samples: Sequence[Mapping[str, Any]]) -> charts.Chart | None:
    """PSI over time: of the scores, of the columns that are furthest off now, and what chance alone makes."""
    if not samples:
        return None
    newest = samples[-1]["psi"]
    features = sorted((name for name in newest if name != SCORES), key=lambda name: -newest[name])
    series: dict[str, list[tuple[float, float]]] = {}
    for name in [SCORES, *features[:_MOST_COLUMNS]]:
        series[name] = [(_at_s(each), each["psi"][name]) for each in samples if name in each["psi"]]
    series["chance alone, at most"] = [(_at_s(each), each["noise"]) for each in samples]
    return charts.line_chart("Population stability index over time", series)


def _at_s(sample: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(sample["at"]).timestamp()
