"""`flywheel`: each group of commands is imported only when it is asked for, so every command starts fast."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from flywheel_cli.environment import complete
from flywheel_cli.output import complain

# Name, module with its `app`, in the order in which `flywheel --help` lists them.
COMMANDS = {
    "doctor": "flywheel_cli.commands.doctor",
    "model": "flywheel_cli.commands.model",
    "dataset": "flywheel_cli.commands.dataset",
    "feedback": "flywheel_cli.commands.feedback",
    "retrain": "flywheel_cli.commands.retrain",
    "events": "flywheel_cli.commands.events",
    "topics": "flywheel_cli.commands.topics",
    "keys": "flywheel_cli.commands.keys",
}


# Offered by the framework to each part of the command, and of use to the whole only.
_COMPLETION = ("install_completion", "show_completion")


class _Commands(TyperGroup):
    """A group whose members are looked up in COMMANDS."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the framework's signature
        """Their names, in order."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the framework's signature
        """The one of that name, imported now; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command = get_command(import_module(COMMANDS[cmd_name]).app)
        command.name = cmd_name
        command.params = [param for param in command.params if param.name not in _COMPLETION]
        return command


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


@app.callback()
def flywheel() -> None:
    """Models that learn from feedback: look at them, their data and their events, and steer them.

    Reads what `make up` wrote to .flywheel/env for every variable that is not set.
    """


def main() -> None:
    """The console script. Exit code 1 when something is wrong, 2 for a command that was not understood."""
    complete(os.environ, Path.cwd())
    try:
        app()
    except _expected() as exc:
        complain(str(exc), "`flywheel doctor` says what is reachable and what is not.")
        sys.exit(1)


def _expected() -> tuple[type[Exception], ...]:
    """What a command may raise for reasons outside of it: an error of ours, a setting that is wrong, no connection.

    Looked up only among what the command has imported: nothing else can have been raised.
    """
    names = {
        "kafka_runtime.errors": "KafkaRuntimeError",
        "lake.errors": "LakeError",
        "registry.errors": "RegistryError",
        "pydantic": "ValidationError",
        "httpx": "TransportError",
    }
    found = [getattr(sys.modules[module], name, None) for module, name in names.items() if module in sys.modules]
    return tuple(kind for kind in found if kind is not None)


if __name__ == "__main__":
    main()
