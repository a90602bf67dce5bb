"""`flywheel feedback`: what became of what somebody said."""

import time
from typing import Annotated, Any

import typer

from flywheel_cli.output import fail, show
from flywheel_cli.trainer_api import Service

app = typer.Typer(no_args_is_help=True, help="Look at single pieces of feedback.")

_ORDER = ("received", "stored", "trained")


@app.callback()
def feedback() -> None:
    """Look at single pieces of feedback."""


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
    ingest = Service("INGEST")
    deadline = time.monotonic() + timeout
    found = ingest.get(f"/v1/feedback/{event_id}")
    while wait and not _reached(found, wait) and time.monotonic() < deadline:
        time.sleep(0.3)
        found = ingest.get(f"/v1/feedback/{event_id}")
    show(found, as_json=as_json)
    if wait and not _reached(found, wait):
        fail(f"It is {found['status']}, not {wait}, after {timeout:g} s.", "`flywheel doctor` says what does not work.")


def _reached(found: dict[str, Any], wanted: str) -> bool:
    """Whether the event is there; one that was refused will never be, so waiting ends with it too."""
    if wanted == "trained":
        return bool(found["trained_into"])
    return wanted == "received" or found["status"] != "received"
