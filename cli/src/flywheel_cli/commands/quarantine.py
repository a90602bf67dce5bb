"""`flywheel dataset quarantine`: feedback that was kept apart, and what to do about it."""

from typing import Annotated, Any

import typer

from flywheel_cli.output import show
from flywheel_cli.trainer_api import Service

app = typer.Typer(no_args_is_help=True, help="Feedback that was kept apart: list it, let it in, or drop it.")
Model = Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")]
EventId = Annotated[str, typer.Argument(metavar="EVENT_ID", help="As `list` shows it.")]
Reason = Annotated[str, typer.Option(help="Why; kept with who and when.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list")
def list_events(
    model: Model,
    *,
    status: Annotated[str | None, typer.Option(help="held, released or dropped; all unless said.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """What was kept apart, newest first, with reason and score."""
    wanted = f"&status={status}" if status else ""
    found = Service("TRAINER").get(f"/v1/models/{model}/quarantine?limit={limit}{wanted}")["events"]
    if as_json:
        show(found, as_json=True)
        return
    if not found:
        typer.echo(f"Nothing of {model} is kept apart.")
    for one in found:
        score = "" if one["score"] is None else f" (score {one['score']:.3g})"
        typer.echo(f"{one['event_id']}  {one['status']:<8}  {one['where']:<8}  {one['reason']}{score}")
        if said := one["decision"]:
            typer.echo(f"{'':38}{said['verb']} by {said['who']} at {said['at']}: {said['why']}")


@app.command()
def release(model: Model, event_id: EventId, *, reason: Reason, as_json: AsJson = False) -> None:
    """Let an event in after all; it is stored once, however often this is said."""
    show(_decide(model, event_id, "release", reason), as_json=as_json)


@app.command()
def drop(model: Model, event_id: EventId, *, reason: Reason, as_json: AsJson = False) -> None:
    """Leave an event out for good; it stays listed."""
    show(_decide(model, event_id, "drop", reason), as_json=as_json)


def _decide(model: str, event_id: str, verb: str, reason: str) -> dict[str, Any]:
    return dict(Service("TRAINER").post(f"/v1/models/{model}/quarantine/{event_id}/{verb}", {"reason": reason}))
