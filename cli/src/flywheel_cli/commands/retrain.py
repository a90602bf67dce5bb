"""`flywheel retrain`: ask for a retraining now."""

from typing import Annotated

import typer

from flywheel_cli.output import show
from flywheel_cli.serving import wait_until_served
from flywheel_cli.trainer_api import Service, wait_for_run

app = typer.Typer(help="Retrain a model now.")


@app.command()
def retrain(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; kept with the run.")] = "asked for by hand",
    wait: Annotated[bool, typer.Option(help="Wait until it is promoted or rejected.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 600.0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Retrain MODEL on everything that has come in. Whether the new version serves, its gates decide."""
    trainer = Service("TRAINER")
    asked = trainer.post(f"/v1/models/{model}/retrain", {"reason": reason})
    if not wait:
        show(asked, as_json=as_json)
        return
    trigger_id = asked["trigger_id"]
    run = wait_for_run(trainer, model, lambda run: run["trigger_id"] == trigger_id, timeout_s=timeout, quiet=as_json)
    if run["outcome"] == "promoted":
        wait_until_served(model, run["version"])
    if as_json:
        show(run, as_json=True)
    else:
        version = f" version {run['version']}" if run["version"] else ""
        typer.echo(f"{model}{version}: {run['outcome'] or run['rollout'] or 'failed'}; {run['reason']}")
    if not run["outcome"] and not run["rollout"]:
        raise typer.Exit(1)
