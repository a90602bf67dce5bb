"""The lake as the trainer reads it, and what the trainer pins beside the tables."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import polars as pl

from flywheel_schemas.spec import ModelSpec, load_specs
from lake import Lake, read, schema
from lake.pins import Pins
from trainer.adapters import quarantine
from trainer.adapters.parquet_rows import ParquetRows
from trainer.domain.errors import CannotTrain, NoSuchModel
from trainer.domain.training_set import Sources

Kind = Literal["base", "feedback", "predictions"]
KINDS: tuple[Kind, ...] = ("base", "feedback", "predictions")


class LakeDatasets:
    """Specs, tables and pinned training sets of one lake."""

    def __init__(self, lake: Lake, specs_dir: Path | None) -> None:
        self._lake = lake
        self._specs_dir = specs_dir

    def models(self) -> list[str]:
        """Every model with a spec beside its data, or one that ships."""
        return sorted(self._lake.specs.with_shipped(self._specs_dir))

    def spec(self, model: str) -> ModelSpec:
        """The spec beside the data, else the one that ships. Raises NoSuchModel."""
        found = self._lake.specs.get(model)
        if found is None and self._specs_dir is not None:
            found = load_specs(self._specs_dir).get(model)
        if found is None:
            raise NoSuchModel(model)
        return found

    def pin(self, model: str) -> dict[str, int]:
        """The newest version of each table that exists."""
        tables = {kind: self._lake.table(model, kind) for kind in KINDS}
        return {kind: int(table.at(None).version()) for kind, table in tables.items() if table.exists()}

    def sources(self, spec: ModelSpec, versions: Mapping[str, int]) -> Sources:
        """The tables at `versions`, with the columns that the present spec has."""
        frames = {kind: self._frame(spec, kind, versions.get(kind)) for kind in KINDS}
        decided = {event: one.verb for event, one in quarantine.decisions(self._lake.objects, spec.name).items()}
        return Sources(frames["base"], frames["feedback"], frames["predictions"], decided)

    def golden(self, spec: ModelSpec) -> pl.DataFrame | None:
        """The golden rows that `flywheel model add` stored beside the data."""
        if spec.gates.golden is None:
            return None
        raw = self._lake.objects.get(f"{spec.name}/{spec.gates.golden}")
        if raw is None:
            raise CannotTrain(
                f"gates.golden names {spec.gates.golden}, which is not stored beside the data; "
                "add the model again with `flywheel model add`, which stores it"
            )
        return pl.read_parquet(BytesIO(raw))

    def keep(self, model: str, digest: str, rows: pl.DataFrame) -> str:
        """Write the training set as Parquet under its digest, unless it is there."""
        return Pins(self._lake, model).keep(digest, rows)

    def kept(self, model: str, digest: str) -> pl.DataFrame | None:
        """The training set of that digest, or None."""
        rows = Pins(self._lake, model).rows(digest)
        return None if rows is None else read.collect(rows, digest)

    def counts(self, model: str, digest: str) -> dict[str, int]:
        """Rows of the training set by source; nothing where it is no longer kept."""
        return Pins(self._lake, model).counts(digest)

    def page(self, model: str, digest: str, after: str, limit: int) -> pl.DataFrame | None:
        """Its rows of feedback that follow the event `after`, by id."""
        return Pins(self._lake, model).page(digest, after, limit)

    def note_held(self, model: str, held: pl.DataFrame) -> None:
        """Write which rows the newest training left out."""
        content = BytesIO()
        held.write_parquet(content)
        self._lake.objects.put(quarantine.held_key(model), content.getvalue())

    @contextmanager
    def stream(self, spec: ModelSpec, digest: str) -> Iterator[ParquetRows]:
        """The training set of that digest from a copy on disk, which is removed afterwards."""
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            Pins(self._lake, spec.name).download(digest, Path(file.name))
            yield ParquetRows(Path(file.name), spec)

    def note_version(self, model: str, version: str, note: Mapping[str, Any]) -> None:
        """Write `{model}/_flywheel/versions/{version}.json`, unless it is there."""
        Pins(self._lake, model).note(version, note)

    def _frame(self, spec: ModelSpec, kind: Kind, version: int | None) -> pl.DataFrame:
        wanted = pl.from_arrow(schema.of(kind, spec).empty_table())
        assert isinstance(wanted, pl.DataFrame)  # noqa: S101 - a table gives a frame
        wanted = wanted.drop("scores", strict=False)
        if version is None:
            return wanted
        table = self._lake.table(spec.name, kind)
        found = read.scan(table, version)
        if kind != "base":
            found = self._lake.erasures.tombstones().honoured(found)
        present = set(found.collect_schema().names())
        columns = [
            pl.col(name).cast(dtype) if name in present else pl.lit(None, dtype).alias(name)
            for name, dtype in wanted.schema.items()
        ]
        return read.collect(found.select(columns), table.uri)
