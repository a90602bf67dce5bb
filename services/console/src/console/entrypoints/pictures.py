"""The pages' charts: which series."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from console.application.ports import Meter
from console.domain import charts, rates


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


def _clock(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M UTC")
