"""All rules, as one document for Prometheus and, in an envelope, for the Prometheus Operator."""

from collections.abc import Iterator
from typing import Any

import yaml

from deploy.observability.alerts import ALERTS
from deploy.observability.slos import SLOS

_ACCEPTED = "sum(increase(flywheel_ingest_events_accepted_total[{w}]))"
_SETTLED = 'sum(increase(flywheel_processor_events_total{{topic="feedback-events"}}[{w}]))'
_LAG = 'sum(flywheel_processor_lag_records{topic="feedback-events"})'
_OF_FEEDBACK = 'flywheel_processor_events_total{topic="feedback-events",model!=""}'
_HEAD = "# Written by `make observability` from deploy/observability; a test compares.\n"


def groups() -> list[dict[str, Any]]:
    """Recording rules and alerts, in the groups that are evaluated together."""
    return [
        {"name": "flywheel-slo-ratios", "rules": [rule for slo in SLOS for rule in slo.recordings()]},
        {"name": "flywheel-slo-alerts", "rules": [alert.rule() for slo in SLOS for alert in slo.alerts()]},
        {"name": "flywheel-recordings", "rules": list(_recordings())},
        {"name": "flywheel-alerts", "rules": [alert.rule() for alert in ALERTS]},
    ]


def alert_names() -> list[str]:
    """Every alert."""
    return [rule["alert"] for group in groups() for rule in group["rules"] if "alert" in rule]


def prometheus() -> str:
    """A rule file."""
    return _HEAD + _yaml({"groups": groups()})


def operator() -> str:
    """The same rules as a PrometheusRule."""
    meta = {"name": "flywheel", "labels": {"release": "flywheel"}}
    return _HEAD + _yaml(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": meta,
            "spec": {"groups": groups()},
        }
    )


def _recordings() -> Iterator[dict[str, Any]]:
    for window in ("1h", "6h"):
        accepted, settled = _ACCEPTED.format(w=window), _SETTLED.format(w=window)
        yield {
            "record": f"flywheel:feedback_unaccounted:ratio{window}",
            "expr": f"clamp_min({accepted} - ({settled} or vector(0)) - ({_LAG} or vector(0)), 0) / ({accepted} > 0)",
        }
    settled = f"sum by (model) (increase({_OF_FEEDBACK}[1h]))"
    quarantined = f'sum by (model) (increase({_OF_FEEDBACK[:-1]},outcome="quarantined"}}[1h]))'
    yield {"record": "flywheel:feedback_settled:increase1h", "expr": settled}
    yield {"record": "flywheel:quarantine:share1h", "expr": f"{quarantined} / ({settled} > 0)"}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _: Any) -> bool:
        return True


def _yaml(document: Any) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
