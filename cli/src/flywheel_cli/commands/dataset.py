"""`flywheel dataset`: what a model can learn from."""

from typing import Annotated, Any, Literal

import typer

from flywheel_cli.commands import quarantine
from flywheel_cli.output import fail, show

app = typer.Typer(no_args_is_help=True, help="Look at the versions and the rows of a model's tables.")
app.add_typer(quarantine.app, name="quarantine")

Kind = Literal["feedback", "predictions", "quarantine", "base"]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")]
TableOption = Annotated[str, typer.Option("--table", help="feedback, predictions, quarantine or base.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
_DAYS = 14
_KINDS: tuple[Kind, ...] = ("feedback", "predictions", "quarantine", "base")


@app.callback()
def dataset() -> None:
    """Look at the versions and the rows of a model's tables."""


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
