"""`flywheel doctor`: is everything reachable, what is wrong, what to do."""

import os
from dataclasses import asdict
from typing import Annotated

import typer

from flywheel_cli.checks import Finding, examine
from flywheel_cli.output import show

app = typer.Typer(help="Look at every dependency and say what is wrong and what to do.")
_MARKS = {"ok": "ok", "warning": "!", "wrong": "WRONG"}


@app.command()
def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Look at every dependency and say what is wrong and what to do. Exit code 1 if something is wrong."""
    findings = examine(os.environ)
    if as_json:
        show([asdict(finding) for finding in findings], as_json=True)
    else:
        show([_row(finding) for finding in findings], as_json=False)
        _conclude(findings)
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)


def _row(finding: Finding) -> dict[str, str]:
    return {"": _MARKS[finding.state], "what": finding.name, "found": finding.detail}


def _conclude(findings: list[Finding]) -> None:
    remedies: dict[str, list[str]] = {}
    for finding in findings:
        if finding.remedy:
            remedies.setdefault(finding.remedy, []).append(finding.name)
    for remedy, names in remedies.items():
        typer.echo(f"{', '.join(names)}: {remedy}.")
    if not any(finding.state == "wrong" for finding in findings):
        typer.echo("Nothing is wrong.")
