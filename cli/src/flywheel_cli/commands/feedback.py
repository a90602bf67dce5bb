"""`flywheel feedback`: what became of what somebody said."""

import time
from typing import Annotated, Any
from urllib.parse import quote

import typer

from flywheel_cli.output import fail, show
from flywheel_cli.trainer_api import POLL_S, Service

app = typer.Typer(no_args_is_help=True, help="Look at single pieces of feedback, or erase those of a user.")

_ORDER = ("received", "stored", "trained")


@app.callback()
def feedback() -> None:
    """Look at single pieces of feedback, or erase those of a user."""


@app.command("show")
def show_event(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="As ingest returned it.")],
    *,
    wait: Annotated[
        str | None,
        typer.Option(help="Wait until it is `stored`, or `trained` into a version; give up after --timeout."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Where it is: received, stored (in which dataset version) or refused, and which versions learned from it."""
    if wait is not None and wait not in _ORDER:
        fail(f"--wait takes {', '.join(_ORDER)}; this is {wait}.", "For example: --wait stored", exit_code=2)
    ingest, path = Service("INGEST"), f"/v1/feedback/{event_id}"
    deadline = time.monotonic() + (timeout if wait else 0.0)
    while True:
        found = ingest.get(path, patience_s=deadline - time.monotonic())
        if not wait or _reached(found, wait) or time.monotonic() > deadline:
            break
        time.sleep(POLL_S)
    show(found, as_json=as_json)
    if wait and not _reached(found, wait):
        fail(f"It is {found['status']}, not {wait}, after {timeout:g} s.", "`flywheel doctor` says what does not work.")


@app.command()
def erase(
    *,
    user: Annotated[str, typer.Option(help="The user, as the application named them in user_id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Erase everything that a user ever said, of all models. It cannot be undone."""
    if not yes:
        typer.confirm("Erase all feedback of this user for good?", abort=True)
    show(Service("INGEST").delete(f"/v1/users/{quote(user, safe='')}/feedback"), as_json=as_json)


def _reached(found: dict[str, Any], wanted: str) -> bool:
    """Whether the event is there; one that was refused will never be, so waiting ends with it too."""
    if wanted == "trained":
        return bool(found["trained_into"])
    return wanted == "received" or found["status"] != "received"
