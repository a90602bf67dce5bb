"""`python -m deploy.observability.pictures http://127.0.0.1:9090 docs/images`: every dashboard as a picture.

The queries are the dashboards' own, asked of Prometheus over its HTTP API and drawn with matplotlib: what Grafana would
show, for pages that nobody has a Grafana beside.
"""

import json
import re
import sys
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter
from matplotlib.ticker import PercentFormatter

from deploy.observability.dashboards import DASHBOARDS
from deploy.observability.panels import Dashboard, Panel

_POINTS, _COLUMNS = 120, 3
_MAX_LEGENDS = 6


def main(prometheus: str, folder: Path, minutes: float) -> None:
    """Draw the last `minutes` of every dashboard."""
    for dashboard in DASHBOARDS:
        _draw(dashboard, prometheus, minutes * 60).savefig(folder / f"dashboard-{dashboard.uid}.png", dpi=80)
        pyplot.close("all")


def _draw(dashboard: Dashboard, prometheus: str, seconds: float) -> Any:
    rows = -(-len(dashboard.panels) // _COLUMNS)
    figure, places = pyplot.subplots(rows, _COLUMNS, figsize=(17, 3.4 * rows), squeeze=False, layout="constrained")
    figure.suptitle(f"Flywheel: {dashboard.title}", x=0.01, ha="left", fontsize=15, weight="bold")
    for place in places.flat[len(dashboard.panels) :]:
        place.set_visible(False)
    for panel, place in zip(dashboard.panels, places.flat, strict=False):
        _panel(panel, place, prometheus, seconds)
    return figure


def _panel(panel: Panel, axes: Axes, prometheus: str, seconds: float) -> None:
    axes.set_title(panel.title, fontsize=10, loc="left")
    series = [(_legend(legend, one["metric"]), one["values"])
              for legend, query in panel.queries.items() for one in _ask(prometheus, query, seconds)]  # fmt: skip
    if panel.kind == "stat":
        latest = [f"{legend}  {_written(float(values[-1][1]), panel.unit)}" for legend, values in series]
        axes.text(0.03, 0.92, "\n".join(latest[:10]), va="top", fontsize=11, transform=axes.transAxes)
        axes.set_axis_off()
        return
    for legend, values in series:
        moments = [datetime.fromtimestamp(moment, UTC) for moment, _ in values]
        axes.plot(moments, [float(value) for _, value in values], label=legend, linewidth=1.3)  # type: ignore[arg-type]  # matplotlib takes moments
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    if panel.minimum is not None:
        axes.set_ylim(bottom=panel.minimum)
    if panel.unit == "percentunit":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel({"s": "seconds", "cps": "a second", "reqps": "a second", "bytes": "bytes"}.get(panel.unit, ""))
    axes.grid(alpha=0.3)
    handles, legends = axes.get_legend_handles_labels()
    axes.legend(handles[:_MAX_LEGENDS], legends[:_MAX_LEGENDS], fontsize=7, loc="upper left", framealpha=0.6)


def _ask(prometheus: str, query: str, seconds: float) -> list[dict[str, Any]]:
    """The query over the last `seconds`, with every model chosen."""
    end, step = time.time(), max(seconds / _POINTS, 1.0)
    text = query.replace("$__rate_interval", f"{max(int(step * 4), 20)}s").replace("$model", ".*")
    asked = urllib.parse.urlencode({"query": text, "start": end - seconds, "end": end, "step": step})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query_range?{asked}", timeout=30) as reply:  # noqa: S310 - given by whoever runs it
        found: list[dict[str, Any]] = json.load(reply)["data"]["result"]
    return found


def _legend(template: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), template)


def _written(value: float, unit: str) -> str:
    return f"{value:.1f} s" if unit == "s" else f"{value:g}" if value == int(value) else f"{value:.2f}"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 30.0)
