"""`flywheel dataset`: what a model can learn from, what changed in it, and the way back."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer

from flywheel_cli.commands import quarantine
from flywheel_cli.output import fail, show

app = typer.Typer(
    no_args_is_help=True, help="Versions and rows of a model's tables: look, compare, roll back, tidy up."
)
app.add_typer(quarantine.app, name="quarantine")

Kind = Literal["feedback", "predictions", "quarantine", "base"]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")]
TableOption = Annotated[str, typer.Option("--table", help="feedback, predictions, quarantine or base.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
_DAYS = 14
_CHANGES = 40
_KINDS: tuple[Kind, ...] = ("feedback", "predictions", "quarantine", "base")


@app.callback()
def dataset() -> None:
    """Versions and rows of a model's tables: look, compare, roll back, tidy up."""


@app.command("list")
def list_versions(
    model: ModelArgument,
    *,
    table: TableOption = "feedback",
    limit: Annotated[int, typer.Option("-n", min=1, help="How many of the newest.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """The versions of a table, newest first: when, by which operation, how many rows were added."""
    from lake import versions

    found = versions.list_versions(_table(model, _kind(table)), limit)
    rows = [
        {
            "version": version.version,
            "committed_at": version.committed_at.isoformat(timespec="seconds"),
            "operation": version.operation,
            "rows_added": version.rows_added,
            "note": version.note or "",
        }
        for version in found
    ]
    if not rows and not as_json:
        typer.echo(f"{model} has no {table} yet.")
        return
    show(rows, as_json=as_json)


@app.command("show")
def show_version(
    model: ModelArgument,
    version: Annotated[int | None, typer.Argument(metavar="[VERSION]", help="Unless given: the newest.")] = None,
    *,
    table: TableOption = "feedback",
    as_json: JsonOption = False,
) -> None:
    """The columns of a version, and its rows by day, by source and by label."""
    kind = _kind(table)
    opened = _table(model, kind)
    if not opened.exists():
        fail(f"{model} has no {table} yet.", f"`flywheel dataset list {model}` shows what there is.")
    answer = _described(opened, version)
    if as_json:
        show(answer, as_json=True)
        return
    typer.echo(f"{model} {table}, version {answer['version']}: {answer['rows']} rows")
    show(answer["columns"], as_json=False)
    for name in ("by_day", "by_source", "by_label"):
        if rows := answer[name]:
            earlier = f" (the last {_DAYS} of {len(rows)})" if len(rows) > _DAYS else ""
            typer.echo(f"\nRows {name.replace('_', ' ')}{earlier}:")
            show(rows[-_DAYS:], as_json=False)


@app.command("diff")
def diff_versions(
    model: ModelArgument,
    from_version: Annotated[int, typer.Argument(metavar="FROM", min=0, help="The version to start from.")],
    to_version: Annotated[int | None, typer.Argument(metavar="[TO]", help="Unless given: the newest.")] = None,
    *,
    table: TableOption = "feedback",
    as_json: JsonOption = False,
) -> None:
    """Rows that came and went, and predictions whose label changed, by day, source, model version and label."""
    from lake.diff import diff
    from lake.errors import TableMissing, VersionGone

    opened = _table(model, _kind(table))
    try:
        found = asdict(diff(opened, from_version, to_version))
    except (TableMissing, VersionGone) as exc:
        fail(str(exc), f"`flywheel dataset list {model} --table {table}` shows the versions there are.")
    if as_json:
        show(found | {"changes": list(found["changes"])}, as_json=True)
    else:
        _show_diff(f"{model} {table}", found)


@app.command("rollback")
def rollback(
    model: ModelArgument,
    version: Annotated[int, typer.Argument(metavar="VERSION", min=0, help="The version to go back to.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Kept with the new version.")] = "",
    preview: Annotated[bool, typer.Option("--preview", help="Only say what would change.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the feedback equal to an earlier version, as a new version; later feedback goes on top."""
    from flywheel_cli.trainer_api import Service

    if not preview and not reason:
        fail("A rollback needs a reason.", "Say --reason WHY, or --preview to see what it would change.", exit_code=2)
    body = {"version": version, "reason": reason or "preview", "preview": preview}
    answer = Service("TRAINER").post(f"/v1/models/{model}/dataset/rollback", body, timeout_s=600.0)
    if as_json:
        show(answer, as_json=True)
        return
    done = f"is now version {answer['version']}" if not preview else "would be the newest version again"
    typer.echo(f"Version {version} of {model}'s feedback {done}.")
    _show_diff(f"{model} feedback", answer["changes"])


@app.command("upkeep")
def upkeep(model: ModelArgument, *, as_json: JsonOption = False) -> None:
    """Compact, vacuum and index the model's tables now, and remove what retention lets go. The trainer does it too."""
    from flywheel_cli.trainer_api import Service

    answer = Service("TRAINER").post(f"/v1/models/{model}/dataset/upkeep", {}, timeout_s=3600.0)
    if as_json:
        show(answer, as_json=True)
        return
    show(answer["tables"], as_json=False)
    typer.echo(f"Training sets removed: {answer['training_sets_removed']}")


def _show_diff(what: str, found: dict[str, Any]) -> None:
    typer.echo(
        f"{what}, version {found['from_version']} to {found['to_version']}: "
        f"{found['added']} rows added, {found['removed']} removed, {found['relabelled']} predictions relabelled"
    )
    rows = [{name: "" if value is None else str(value) for name, value in row.items()} for row in found["changes"]]
    if len(rows) > _CHANGES:
        typer.echo(f"The last {_CHANGES} of {len(rows)} groups (--json gives all):")
    if rows:
        show(rows[-_CHANGES:], as_json=False)


def _described(opened: Any, version: int | None) -> dict[str, Any]:
    import polars as pl

    from lake import read

    pinned = int(opened.at(version).version())
    frame = read.scan(opened, pinned)
    schema = frame.collect_schema()

    def count(expression: pl.Expr, name: str) -> list[dict[str, Any]]:
        counted = frame.select(expression.alias(name)).group_by(name).agg(pl.len().alias("rows")).sort(name)
        return [{name: str(row[name]), "rows": row["rows"]} for row in read.collect(counted, opened.uri).to_dicts()]

    day = next((pl.col(name).dt.date() for name in ("event_date", "occurred_at") if name in schema), None)
    by_label = count(pl.col("label"), "label") if schema.get("label") == pl.String else []
    columns = [{"column": name, "type": str(dtype)} for name, dtype in schema.items()]
    return {
        "version": pinned,
        "rows": read.collect(frame.select(pl.len()), opened.uri).item(),
        "columns": columns,
        "by_day": count(day, "day") if day is not None else [],
        "by_source": count(pl.col("source"), "source") if "source" in schema else [],
        "by_label": by_label,
    }


def _kind(table: str) -> Kind:
    found = next((kind for kind in _KINDS if kind == table), None)
    if found is None:
        fail(f"There is no table {table}.", f"The tables are: {', '.join(_KINDS)}.", exit_code=2)
    return found


def _table(model: str, kind: Kind) -> Any:
    from lake import Lake, LakeSettings

    lake = Lake(LakeSettings())
    found = lake.table(model, kind)
    if not found.exists() and lake.specs.get(model) is None:
        fail(f"There is no model {model}.", "`flywheel model list` shows the models there are.")
    return found
