"""`python -m deploy.observability` writes the rules, the PrometheusRule and the dashboards."""

import json
from pathlib import Path

from deploy.observability import rules
from deploy.observability.dashboards import DASHBOARDS

HERE = Path(__file__).parent
RULES = HERE / "rules.yaml"
MONITORING = HERE.parent / "k8s" / "components" / "monitoring"


def generated() -> dict[Path, str]:
    """Every written file with its text."""
    texts = {
        RULES: rules.prometheus(),
        MONITORING / "prometheus-rule.yaml": rules.operator(),
    }
    for dashboard in DASHBOARDS:
        texts[MONITORING / "dashboards" / f"{dashboard.uid}.json"] = json.dumps(dashboard.json(), indent=1) + "\n"
    return texts


def main() -> None:
    """Write what is not as it should be."""
    for path, text in generated().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
