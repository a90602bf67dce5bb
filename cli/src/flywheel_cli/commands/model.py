"""`flywheel model`: add a model, see its versions, decide which one serves."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from flywheel_cli.output import fail, show
from flywheel_cli.passed_over import passed_over
from flywheel_cli.serving import wait_until_served
from flywheel_cli.trainer_api import Service, wait_for_run

app = typer.Typer(no_args_is_help=True, help="Add models, look at their versions, promote and roll back.")

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")]
VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="As `flywheel model show` lists them.")]
ReasonOption = Annotated[str, typer.Option(help="Why; kept in the version's history.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.callback()
def model() -> None:
    """Add models, look at their versions, promote and roll back."""


@app.command()
def add(
    spec_file: Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="What the model is.")],
    *,
    base: Annotated[
        Path | None, typer.Option(help="CSV or Parquet with the features and the label; else the spec's base_dataset.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the first version.")] = 600.0,
    as_json: JsonOption = False,
) -> None:
    """Check the spec and every row, store them, train, and let the first version serve when it passes its gates."""
    from flywheel_cli.base_rows import BaseFileError
    from flywheel_schemas.spec import SpecError

    try:
        spec, rows, golden = _checked(spec_file, base)
    except (SpecError, BaseFileError) as exc:
        fail(str(exc), "Nothing was stored. Mend this and add the model again.")
    for wish in passed_over(spec):
        typer.echo(f"note: {spec.name}: not acted on yet: {wish}", err=True)
    _store(spec, rows, golden)
    if not as_json:
        typer.echo(f"{spec.name}: {rows.height} rows are right and stored.")
    trainer = Service("TRAINER")
    opened = trainer.post("/v1/models", {"model": spec.name})
    run = wait_for_run(
        trainer, spec.name, lambda run: run["run_id"] == opened["run_id"], timeout_s=timeout, quiet=as_json
    )
    if run["outcome"] == "promoted":
        wait_until_served(spec.name, run["version"])
    _conclude(spec.name, run, as_json=as_json)
    if run["outcome"] != "promoted" and not run["rollout"]:
        raise typer.Exit(1)


@app.command("list")
def list_models(*, as_json: JsonOption = False) -> None:
    """Every model: what it predicts, which version serves, how many there are."""
    from lake import Lake, LakeSettings
    from registry import Registry, RegistrySettings

    registry, specs = Registry(RegistrySettings()), Lake(LakeSettings()).specs.all()
    found = []
    for name in sorted({*specs, *registry.models()}):
        versions, spec = registry.versions(name), specs.get(name)
        if spec is None and not versions:
            continue
        champion = registry.champion(name)
        found.append(
            {
                "model": name,
                "task": spec.task if spec else None,
                "label": spec.label.name if spec else None,
                "champion": champion.version if champion else None,
                "since": champion.history[-1].at.isoformat(timespec="seconds")
                if champion and champion.history
                else None,
                "versions": len(versions),
            }
        )
    if not found and not as_json:
        typer.echo("No model yet. `flywheel model add SPEC.yaml --base FILE` adds the first one.")
        return
    show(found, as_json=as_json)


@app.command("show")
def show_model(
    model: ModelArgument,
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="One version, with its gates.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """The versions of a model and what became of each; with VERSION its gates, metrics and history."""
    from registry import Registry, RegistrySettings

    registry = Registry(RegistrySettings())
    if version is not None:
        _show_version(registry.version(model, version), as_json=as_json)
        return
    registry.require(model)
    champion, versions = registry.champion(model), registry.versions(model)
    rows = [_row(found) for found in reversed(versions)]
    if as_json:
        details = [_details(found) for found in reversed(versions)]
        show({"model": model, "champion": champion.version if champion else None, "versions": details}, as_json=True)
        return
    typer.echo(f"{model}: champion {champion.version if champion else 'none'}, {len(versions)} versions")
    show(rows, as_json=False)
    if versions:
        newest = versions[-1]
        typer.echo(f"\nGates of version {newest.version}:")
        show([_gate(gate) for gate in newest.gates], as_json=False)


@app.command()
def promote(
    model: ModelArgument,
    version: VersionArgument,
    *,
    reason: ReasonOption = "promoted by hand",
    strategy: Annotated[
        str, typer.Option(help="instant: all traffic at once; canary or blue_green: by a trial beside the champion.")
    ] = "instant",
    force: Annotated[bool, typer.Option(help="Even if its gates rejected it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let VERSION serve: all traffic at once, or step by step."""
    body = {"version": version, "reason": reason, "strategy": strategy, "force": force}
    show(Service("TRAINER").post(f"/v1/models/{model}/promote", body), as_json=as_json)


@app.command()
def rollback(
    model: ModelArgument,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Unless given: the previous champion.")
    ] = None,
    *,
    reason: ReasonOption = "rolled back by hand",
    as_json: JsonOption = False,
) -> None:
    """Take the challenger back; where none is on trial, put the previous champion, or VERSION, back in its place."""
    body = {"reason": reason, **({"version": version} if version else {})}
    show(Service("TRAINER").post(f"/v1/models/{model}/rollback", body), as_json=as_json)


@app.command()
def pause(model: ModelArgument, *, reason: ReasonOption = "paused by hand", as_json: JsonOption = False) -> None:
    """Hold the challenger at its share of the traffic. Guardrails go on working."""
    show(Service("TRAINER").post(f"/v1/models/{model}/pause", {"reason": reason}), as_json=as_json)


@app.command()
def resume(model: ModelArgument, *, reason: ReasonOption = "resumed by hand", as_json: JsonOption = False) -> None:
    """Go on with a rollout that was paused."""
    show(Service("TRAINER").post(f"/v1/models/{model}/resume", {"reason": reason}), as_json=as_json)


@app.command()
def rollout(model: ModelArgument, *, as_json: JsonOption = False) -> None:
    """How the rollout under way, or the last one, is doing: by what evidence, and what it waits for."""
    found = Service("TRAINER").get(f"/v1/models/{model}/rollout")
    if as_json:
        show(found, as_json=True)
        return
    lists = ("evidence", "guardrails", "disagreement", "steps")
    show({name: value for name, value in found.items() if name not in lists}, as_json=False)
    if found["evidence"]:
        newest = found["evidence"][-1]
        bounds = {name: newest[name] for name in ("difference", "low", "high")}
        counted = {who: f"{newest[who]['right']:g} of {newest[who]['n']}" for who in ("champion", "challenger")}
        show({"audited answers that were right": "", **counted, **bounds}, as_json=False)
    show(found["guardrails"], as_json=False)


@app.command("audit-log")
def audit_log(model: ModelArgument, *, as_json: JsonOption = False) -> None:
    """Who did what to which version, when and why: newest first."""
    show(Service("TRAINER").get(f"/v1/models/{model}/audit-log")["entries"], as_json=as_json)


@app.command()
def reproduce(
    model: ModelArgument,
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="Unless given: the champion.")] = None,
    *,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 3600.0,
    as_json: JsonOption = False,
) -> None:
    """Train VERSION again from its pinned rows. Exit code 0 when every byte is the same, else 1 and what differs."""
    wanted = version or _champion(model)
    path = f"/v1/models/{model}/versions/{wanted}/reproduce"
    found = Service("TRAINER").post(path, {}, timeout_s=timeout)
    if as_json:
        show(found, as_json=True)
    elif found["identical"]:
        typer.echo(f"{model} version {wanted}: byte-identical ({found['rows']} rows, {found['rounds']} rounds)")
    else:
        typer.echo(f"{model} version {wanted} differs:\n" + "\n".join(f"  {said}" for said in found["differences"]))
    if not found["identical"]:
        raise typer.Exit(1)


@app.command()
def rows(
    model: ModelArgument,
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="Unless given: the champion.")] = None,
    *,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
) -> None:
    """The feedback that taught VERSION, one JSON object a line: event_id, label, weight and where it came from."""
    path: str | None = f"/v1/models/{model}/versions/{version or _champion(model)}/rows"
    left, trainer = limit, Service("TRAINER")
    while path and left != 0:
        lines, path = trainer.page(path)
        shown = lines if left is None else lines[:left]
        for line in shown:
            typer.echo(line)
        left = None if left is None else left - len(shown)


def _checked(spec_file: Path, base: Path | None) -> tuple[Any, Any, bytes | None]:
    """The spec, its base rows, and the golden rows as Parquet. Raises SpecError or BaseFileError."""
    from flywheel_cli import base_rows
    from flywheel_schemas.spec import load_spec

    spec = load_spec(spec_file)
    if base is None and spec.base_dataset is None:
        raise base_rows.BaseFileError(f"{spec_file} names no base_dataset; give the rows with --base FILE")
    rows = base_rows.read(base or spec_file.parent / str(spec.base_dataset), spec)
    if spec.gates.golden is None:
        return spec, rows, None
    import io

    content = io.BytesIO()
    base_rows.read(spec_file.parent / spec.gates.golden, spec).write_parquet(content)
    golden = content.getvalue()
    kept = f"_flywheel/golden/{hashlib.sha256(golden).hexdigest()}.parquet"
    return spec.model_copy(update={"gates": spec.gates.model_copy(update={"golden": kept})}), rows, golden


def _store(spec: Any, rows: Any, golden: bytes | None) -> None:
    """The base table first: who finds the spec finds the data too."""
    from features.profile import Profile, numbers
    from lake import Lake, LakeSettings, profiles, schema

    lake = Lake(LakeSettings())
    lake.ensure_bucket()
    lake.table(spec.name, "base").replace(rows.to_arrow().cast(schema.base(spec)))
    profiles.put(lake.objects, spec.name, Profile.of(numbers(rows, spec), spec).encode())
    if golden is not None:
        lake.objects.put_if_absent(f"{spec.name}/{spec.gates.golden}", golden)
    lake.specs.put(spec)


def _champion(model: str) -> str:
    from registry import Registry, RegistrySettings

    champion = Registry(RegistrySettings()).champion(model)
    if champion is None:
        fail(f"{model} has no champion.", "Name a version; `flywheel model list` shows the models there are.")
    return champion.version


def _conclude(model: str, run: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show(run, as_json=True)
        return
    serves = f"version {run['version']} is the champion" if run["outcome"] == "promoted" else "no version serves"
    verdict = run["outcome"] or run["rollout"] or "failed"
    typer.echo(f"{model}: {verdict}; {serves if run['outcome'] in {'promoted', 'rejected'} else run['reason']}")
    typer.echo(run["reason"])
    judged = {
        name.removeprefix("judged."): value for name, value in run["metrics"].items() if name.startswith("judged.")
    }
    if judged:
        show({"rows": int(run["metrics"]["rows"]), **judged}, as_json=False)


def _row(found: Any) -> dict[str, Any]:
    metric = next((gate.figures.get("metric") for gate in found.gates if gate.name == "metric"), None)
    value = found.metrics.get(f"judged.{metric}")
    return {
        "version": found.version,
        "state": "champion" if found.state.value == "promoted" else found.state.value,
        "traffic": f"{found.traffic_percent:g} %",
        "registered": found.created_at.isoformat(timespec="seconds"),
        "rows": int(found.metrics.get("rows", 0)),
        "erased": found.erased_rows,
        "holdout": f"{metric} {value:.4f}" if value is not None else None,
        "reason": found.reason,
    }


def _gate(gate: Any) -> dict[str, Any]:
    return {"gate": gate.name, "passed": gate.passed, "reason": gate.reason}


def _details(found: Any) -> dict[str, Any]:
    return {
        "version": found.version,
        "state": found.state.value,
        "traffic_percent": found.traffic_percent,
        "registered_at": found.created_at.isoformat(),
        "reason": found.reason,
        "trigger_id": found.trigger_id,
        "run_id": found.run_id,
        "training_set_hash": found.training_set_hash,
        "dataset_versions": dict(found.dataset_versions),
        "judged_against": found.judged_against,
        "previous_champion": found.previous_champion,
        "git_commit": found.git_commit,
        "artifact_uri": found.artifact_uri,
        "artifact_sha256": found.artifact_sha256,
        "erased_rows": found.erased_rows,
        "metrics": dict(found.metrics),
        "gates": [gate.model_dump(mode="json") for gate in found.gates],
        "history": [change.encode() for change in found.history],
    }


def _show_version(found: Any, *, as_json: bool) -> None:
    details = _details(found)
    if as_json:
        show(details, as_json=True)
        return
    show({name: value for name, value in details.items() if name not in {"gates", "history"}}, as_json=False)
    typer.echo("\nGates:")
    show([_gate(gate) for gate in found.gates], as_json=False)
    typer.echo("\nHistory:")
    show(details["history"], as_json=False)
