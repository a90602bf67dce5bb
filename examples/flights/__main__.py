"""`python -m flights demo`: what `make demo` runs."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import results
from flights.demo import Wish, run
from flights.stage import DemoError
from flywheel_local.errors import StackError
from flywheel_local.server import repository
from flywheel_schemas.spec import SpecError

app = typer.Typer(help="The whole loop on real flights.", no_args_is_help=True)
SPEC = Path(__file__).with_name("flights.yaml")
INTERRUPTED = 130
NARROWEST = 200


@app.callback()
def flights() -> None:
    """The whole loop on real flights."""


@app.command()
def demo(
    *,
    months: Annotated[int, typer.Option(min=1, max=10, help="How many months to replay, from March on.")] = 10,
    naive: Annotated[bool, typer.Option("--naive", help="Learn from feedback as it comes, without weights.")] = False,
    seed: Annotated[int, typer.Option(help="Draws who gives feedback.")] = 0,
    seconds_per_month: Annotated[float, typer.Option(min=1, help="How long a replayed month takes.")] = 22.0,
    share: Annotated[float, typer.Option(min=0.01, max=1.0, help="Part of the flights to replay.")] = 1.0,
    spec: Annotated[Path, typer.Option(help="How the model learns.", exists=True, dir_okay=False)] = SPEC,
    results_folder: Annotated[Path, typer.Option("--results", help="Where the report goes.")] = results.FOLDER,
) -> None:
    """Starts a stack of its own, replays the flights, and ends with a report; nothing runs on afterwards."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(width=None if sys.stdout.isatty() else NARROWEST, highlight=False)
    home = Path(os.environ.get("FLYWHEEL_HOME") or repository() / ".flywheel").resolve() / "demo"
    try:
        outcome = run(Wish(months, naive, seed, seconds_per_month, share, spec), home, results_folder, console)
    except (DemoError, SpecError, StackError) as exc:
        console.print(f"The demo cannot go on: {exc}", markup=False, soft_wrap=True)
        raise typer.Exit(1) from exc
    except KeyboardInterrupt as exc:
        console.print("Stopped; nothing of the demo runs any more.")
        raise typer.Exit(INTERRUPTED) from exc
    for sentence in outcome.broken():
        console.print(f"BROKEN: {sentence}", markup=False, soft_wrap=True)
    raise typer.Exit(1 if outcome.broken() else 0)


if __name__ == "__main__":
    app()
