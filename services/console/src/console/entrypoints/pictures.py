"""The pages' charts: which series."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
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
    ends = (_clock(samples[0].at_s), _clock(samples[-1].at_s)) if samples else ("", "")
    return charts.line_chart("Events per second", series, ends, "/s")


def growth_chart(versions: Sequence[Mapping[str, Any]]) -> charts.Chart | None:
    """How a dataset grew."""
    rows, points = 0, []
    for each in sorted(versions, key=lambda one: one["version"]):
        rows += each["rows"]
        points.append((each["at"].timestamp(), float(rows)))
    ends = (_clock(points[0][0]), _clock(points[-1][0])) if points else ("", "")
    return charts.line_chart("Rows added, by the versions shown", {"rows": points}, ends)


def evidence_chart(rollout: Mapping[str, Any] | None) -> charts.Chart | None:
    """A rollout's evidence over time."""
    evidence = (rollout or {}).get("evidence") or []
    series: dict[str, list[tuple[float, float]]] = {"lowest": [], "difference": [], "highest": []}
    for each in evidence:
        at = datetime.fromisoformat(each["at"]).timestamp()
        for name, key in (("lowest", "low"), ("difference", "difference"), ("highest", "high")):
            if each.get(key) is not None:
                series[name].append((at, float(each[key])))
    times = [at for points in series.values() for at, _ in points]
    ends = (_clock(min(times)), _clock(max(times))) if times else ("", "")
    return charts.line_chart("Challenger less champion, with its confidence sequence", series, ends)


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
    ends = (_day(measured[0].x), _day(measured[-1].x)) if measured else ("", "")
    title = f"Versions on a time line, by {(metric or '').removeprefix('judged.').replace('_', ' ')} at the gates"
    return charts.mark_chart(title, measured, ends)


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
    return charts.mark_chart(f"Live {name.replace('_', ' ')} by version, with its 95 % interval", measured, ("", ""))


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
    ends = (_day(_at_s(samples[0])), _day(_at_s(samples[-1])))
    return charts.line_chart("Population stability index over time", series, ends)


def _at_s(sample: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(sample["at"]).timestamp()


def _day(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%d %b %H:%M UTC")


def _clock(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M UTC")
