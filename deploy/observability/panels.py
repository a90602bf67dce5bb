"""A dashboard in a compact form, and Grafana's JSON of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_COLUMNS, _WIDTH, _HEIGHT = 24, 8, 7
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """`queries` by legend; `unit` in Grafana's names (s, reqps, percentunit, short); `kind` timeseries or stat."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    minimum: float | None = 0


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`uid` names its file and its address; `variables` are labels to choose by, each with the metric that has it."""

    uid: str
    title: str
    panels: Sequence[Panel]
    variables: dict[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """As Grafana imports it."""
        return {
            "uid": f"flywheel-{self.uid}",
            "title": f"Flywheel: {self.title}",
            "tags": ["flywheel"],
            "schemaVersion": 39,
            "editable": False,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "templating": {"list": [_data_source(), *(_variable(*each) for each in self.variables.items())]},
            "panels": [_panel(number, panel) for number, panel in enumerate(self.panels)],
        }


def _data_source() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus"}


def _variable(label: str, metric: str) -> dict[str, Any]:
    return {
        "name": label,
        "type": "query",
        "datasource": SOURCE,
        "query": f"label_values({metric}, {label})",
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    across = _COLUMNS // _WIDTH
    place = {"x": number % across * _WIDTH, "y": number // across * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.minimum is not None:
        defaults["min"] = panel.minimum
    targets = [
        {"refId": chr(ord("A") + at), "datasource": SOURCE, "expr": query, "legendFormat": legend}
        for at, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "id": number + 1,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets,
    }
