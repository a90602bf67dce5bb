"""`python -m flywheel_local up | down | status | scale`: what the Makefile calls."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flywheel_local import kafka
from flywheel_local.configuration import from_shell
from flywheel_local.errors import StackError
from flywheel_local.server import repository
from flywheel_local.stack import Stack

app = typer.Typer(help="The stack on this machine: servers and services, on loopback.", no_args_is_help=True)
_console = Console(highlight=False, width=None if sys.stdout.isatty() else 1000)


@app.command()
def fetch() -> None:
    """Fetches Apache Kafka, where it can run, so that nothing is downloaded later; says where it cannot."""
    if reason := kafka.obtain(kafka.default_jars(), _say):
        _say(f"Tansu will stand in for Apache Kafka: {reason}")


@app.command()
def up(
    observability: Annotated[bool, typer.Option(help="Prometheus too, with the rules, where it is installed.")] = False,
) -> None:
    """Starts what does not run yet, waits until all of it is ready, and prints every address."""
    stack = _stack()
    stack.start()
    if observability:
        stack.start_prometheus()
    _print_addresses(stack)
    _console.print(f"For a shell: set -a; . {_shown(stack.home / 'env')}; set +a. Stop it with `make down`.")


@app.command()
def down() -> None:
    """Ends every process of the stack. What it stored stays."""
    stack = _stack()
    stack.stop()
    _console.print(f"Nothing of the stack in {_shown(stack.home)} runs. What it stored is kept there.")


@app.command()
def status() -> None:
    """Prints every address and process id; exit code 1 if something that was started is dead."""
    stack = _stack()
    _print_addresses(stack)
    if any(stack.pid(name) is None for name in stack.names()):
        raise typer.Exit(1)


@app.command()
def scale(
    service: Annotated[str, typer.Argument(help="Which service, such as stream-processor.")],
    count: Annotated[int, typer.Argument(help="How many of it are to run.")],
) -> None:
    """Runs several of one service, each with a pid file and a log of its own."""
    stack = _stack()
    stack.scale(service, count)
    _print_addresses(stack)


def _say(line: str) -> None:
    _console.print(f"  {line}", markup=False, soft_wrap=True)


def _stack() -> Stack:
    home = Path(os.environ.get("FLYWHEEL_HOME") or repository() / ".flywheel").resolve()
    found = Stack(home)
    configuration = from_shell(home, os.environ, alive=any(found.pid(name) for name in found.names()))
    return Stack(
        home,
        configuration.ports,
        configuration.given,
        say=_say,
        ready_timeout_s=float(os.environ.get("FLYWHEEL_READY_TIMEOUT", "120")),
    )


def _print_addresses(stack: Stack) -> None:
    table = Table("name", "address", "process", "log", box=None, pad_edge=False)
    started = set(stack.names())
    for name, address, pid in stack.addresses():
        state = str(pid) if pid else ("dead" if name in started else "-")
        table.add_row(name, address, state, _shown(stack.log(name)) if name in started else "")
    _console.print(table)


def _shown(path: Path) -> str:
    """Relative to where the reader stands, when it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def main() -> None:
    """Exit code 1 and the reason where the stack cannot do what was asked."""
    try:
        app()
    except (StackError, ValueError) as exc:
        _console.print(str(exc), markup=False, style="red", soft_wrap=True)
        raise SystemExit(1) from exc
    except KeyboardInterrupt:
        _console.print("Interrupted. What has started runs on: `make down` stops it.")
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
