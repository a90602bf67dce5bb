"""`flywheel keys`: who may use the services. The secrets are shown once and kept nowhere."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from flywheel_cli.output import fail, show

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke the API keys in API_KEYS_FILE.")

FileOption = Annotated[Path | None, typer.Option("--file", help="The keys file; API_KEYS_FILE unless given.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.callback()
def keys() -> None:
    """Create, list and revoke the API keys in API_KEYS_FILE."""


@app.command()
def create(
    *,
    role: Annotated[
        list[str], typer.Option("--role", help="feedback:write, predict, read or operate; may be repeated.")
    ],
    note: Annotated[str, typer.Option(help="Whom it is for.")] = "",
    file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, once: only its digest is kept. Running services take it within about a second."""
    from http_api import keys as api_keys

    path = _path(file)
    try:
        key, entry = api_keys.create(path, role, note)  # type: ignore[arg-type]  # it checks the roles
    except ValueError as exc:
        fail(str(exc), f"Roles: {', '.join(api_keys.ROLES)}. Keys file: {path}.")
    show({"key": key, **_shown(entry), "file": path}, as_json=as_json)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `flywheel keys list` shows it.")],
    *,
    file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a key out of force. Running services refuse it within about a second."""
    from http_api import keys as api_keys

    path = _path(file)
    try:
        revoked = api_keys.revoke(path, key_id)
    except ValueError as exc:
        fail(str(exc), "Name the keys file with --file, or set API_KEYS_FILE.")
    if not revoked:
        fail(f"There is no key {key_id} in {path}.", "`flywheel keys list` shows those there are.")
    show({"revoked": key_id, "file": path}, as_json=as_json)


@app.command(name="list")
def list_keys(*, file: FileOption = None, as_json: JsonOption = False) -> None:
    """Every key in force: its id, roles and note."""
    from http_api import keys as api_keys

    try:
        entries = api_keys.list(_path(file))
    except ValueError as exc:
        fail(str(exc), "Name the keys file with --file, or set API_KEYS_FILE.")
    show([_shown(entry) for entry in entries], as_json=as_json, columns=["id", "roles", "note", "created_at"])


def _path(file: Path | None) -> Path:
    if file is not None:
        return file
    if not (named := os.environ.get("API_KEYS_FILE")):
        fail(
            "No keys file is in use: every service listens on this machine alone and lets anybody in.",
            "Name the file with --file, or set API_KEYS_FILE, for the services too.",
        )
    return Path(named)


def _shown(entry: Any) -> dict[str, Any]:
    return {
        "id": entry.id,
        "roles": list(entry.roles),
        "note": entry.note,
        "created_at": entry.created_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
