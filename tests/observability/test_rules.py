"""Every alert fires when it should and is silent when it should be, by Prometheus' own tool."""

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from deploy.observability import rules
from deploy.observability.__main__ import RULES, generated
from tests.debian import PROMTOOL
from tests.observability.cases import Case, cases

REPOSITORY = Path(__file__).parents[2]
CASES = list(cases())
needs_promtool = pytest.mark.skipif(PROMTOOL.executable() is None, reason=PROMTOOL.how)


def test_what_is_committed_is_what_the_code_says() -> None:
    for path, text in generated().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(REPOSITORY)}: run `make observability`"


def test_the_operator_gets_the_rules_that_prometheus_gets() -> None:
    file, custom = yaml.safe_load(rules.prometheus()), yaml.safe_load(rules.operator())
    assert custom["spec"]["groups"] == file["groups"]


def test_every_alert_is_shown_firing_and_silent() -> None:
    for fires in (True, False):
        assert {case.alert for case in CASES if case.fires is fires} == set(rules.alert_names())


def test_every_alert_says_what_it_means_how_urgent_it_is_and_where_to_read_on() -> None:
    sections = {line[4:].strip().lower() for line in (REPOSITORY / "docs/runbooks.md").read_text().splitlines()
                if line.startswith("### ")}  # fmt: skip
    for group in rules.groups():
        for rule in (rule for rule in group["rules"] if "alert" in rule):
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert len(rule["annotations"]["summary"]) > 20
            page, _, section = rule["annotations"]["runbook_url"].partition("#")
            assert (REPOSITORY / page).is_file()
            assert section in sections, f"{rule['alert']}: docs/runbooks.md has no section {section}"


def test_every_metric_that_a_rule_asks_for_is_in_the_documented_table() -> None:
    page = (REPOSITORY / "docs/observability.md").read_text()
    asked = set(re.findall(r"\bflywheel_[a-z_]+", RULES.read_text()))
    for name in asked:
        base = re.sub(r"_(bucket|count|sum)$", "", name)
        assert f"`{base}`" in page, f"{name} is not in docs/observability.md"


@needs_promtool
def test_prometheus_reads_the_rules() -> None:
    done = subprocess.run(
        [str(PROMTOOL.executable()), "check", "rules", str(RULES)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("alert", rules.alert_names())
def test_an_alert_fires_and_is_silent_as_its_cases_say(alert: str, tmp_path: Path) -> None:
    done = _run([case for case in CASES if case.alert == alert], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_a_case_that_is_wrong_is_found(tmp_path: Path) -> None:
    assert _run([Case("LagHigh", True, {}, 5)], tmp_path).returncode != 0


def _run(chosen: Sequence[Case], folder: Path) -> "subprocess.CompletedProcess[str]":
    """All cases are of one alert."""
    tests = [
        {
            "interval": "1m",
            "name": f"{case.alert} {'fires' if case.fires else 'is silent'} {case.why}".strip(),
            "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}}) > bool 0',
                    "eval_time": f"{case.at}m",
                    "exp_samples": [{"labels": "{}", "value": 1}] if case.fires else [],
                }
            ],
        }
        for case in chosen
    ]
    (folder / "rules.json").write_text(json.dumps({"groups": _concerning(chosen[0].alert)}))
    document = {"rule_files": ["rules.json"], "evaluation_interval": f"{chosen[0].every}m", "tests": tests}
    path = folder / "cases.json"  # promtool reads YAML, and JSON is YAML
    path.write_text(json.dumps(document))
    return subprocess.run(
        [str(PROMTOOL.executable()), "test", "rules", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def _concerning(alert: str) -> list[dict[str, object]]:
    """The alert and the recordings that it asks for: promtool takes its time with every rule."""
    every = [rule for group in rules.groups() for rule in group["rules"]]
    asked = next(rule["expr"] for rule in every if rule.get("alert") == alert)
    wanted = [
        rule
        for rule in every
        if rule.get("alert") == alert
        or ("record" in rule and rule["record"] in asked and rule.get("labels", {}).get("slo", "") in asked)
    ]
    return [{"name": "concerning", "rules": wanted}]


def test_every_command_in_the_runbooks_is_one_that_there_is() -> None:
    from typer.main import get_command

    from flywheel_cli.__main__ import COMMANDS, app

    page = (REPOSITORY / "docs/runbooks.md").read_text()
    for words in re.findall(r"(?<!-n )\bflywheel((?: [a-z][a-z-]*)+)", page):
        first, *rest = words.split()
        assert first in COMMANDS, f"there is no `flywheel{words}`"
        command = get_command(app).get_command(None, first)
        for word in rest:
            if hasattr(command, "commands"):
                assert word in command.commands, f"there is no `flywheel{words}`"
                command = command.commands[word]
