"""A base file, checked against its spec: every wrong cell is named by row and column before anything is stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from flywheel_schemas.spec import FeatureSpec, ModelSpec

SHOWN = 10
_TIMES = ("%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")
MOMENT = pl.Datetime("us", "UTC")


class BaseFileError(ValueError):
    """A file that cannot be a base dataset. The text names rows, columns and what is allowed."""


@dataclass(frozen=True, slots=True)
class _Wrong:
    row: int
    column: str
    said: str


def read(path: Path, spec: ModelSpec) -> pl.DataFrame:
    """The rows of a CSV or Parquet file: features, `label` and `occurred_at` (null where the file has none).

    Rows are counted as an editor shows them: in a CSV file the header is row 1. Raises BaseFileError.
    """
    found, first_row = _load(path)
    label = _label_column(found, spec, path)
    missing = [f.name for f in spec.features if f.required and f.name not in found.columns]
    if missing:
        raise BaseFileError(
            f"{path} lacks the required columns {', '.join(missing)}; it has {', '.join(found.columns)}"
        )
    if found.is_empty():
        raise BaseFileError(f"{path} has no rows")
    columns, wrong = [], []
    for feature in spec.features:
        given = (
            found[feature.name] if feature.name in found.columns else pl.Series([None] * found.height, dtype=pl.String)
        )
        values, errors = _feature(feature, given.alias(feature.name), first_row)
        columns.append(values)
        wrong.extend(errors)
    answers, errors = _label(spec, found[label], first_row)
    wrong.extend(errors)
    times, errors = _times(found, first_row)
    wrong.extend(errors)
    if wrong:
        raise BaseFileError(_report(path, wrong))
    return pl.DataFrame([*columns, answers.alias("label"), times.alias("occurred_at")])


def _load(path: Path) -> tuple[pl.DataFrame, int]:
    """The file as it is, and the number of its first row of data."""
    try:
        if path.suffix.lower() in {".parquet", ".pq"}:
            return pl.read_parquet(path), 1
        if path.suffix.lower() in {".csv", ".txt", ".tsv"}:
            separator = "\t" if path.suffix.lower() == ".tsv" else ","
            return pl.read_csv(path, infer_schema=False, separator=separator), 2
    except FileNotFoundError as exc:
        raise BaseFileError(f"{path} does not exist") from exc
    except (pl.exceptions.PolarsError, OSError) as exc:
        raise BaseFileError(f"{path} cannot be read: {' '.join(str(exc).split())[:300]}") from exc
    raise BaseFileError(f"{path} is neither .csv nor .parquet")


def _label_column(found: pl.DataFrame, spec: ModelSpec, path: Path) -> str:
    for name in (spec.label.name, "label"):
        if name in found.columns:
            return name
    raise BaseFileError(f"{path} has no column {spec.label.name} (the spec's label); it has {', '.join(found.columns)}")


def _feature(feature: FeatureSpec, given: pl.Series, first_row: int) -> tuple[pl.Series, list[_Wrong]]:
    if feature.type == "timestamp":
        moments, errors = _moments(given, first_row)
        values = moments.dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ").alias(feature.name)
    elif feature.type == "category":
        values, errors = _one_of(given, feature.values or (), first_row)
        errors = errors if feature.unseen == "refuse" else []
    else:
        values, errors = _number(given, feature.range, first_row)
    if feature.required:
        errors += [
            _Wrong(row, given.name, "is empty, but required") for row in _rows(_filled(given).is_null(), first_row)
        ]
    return values, errors


def _label(spec: ModelSpec, given: pl.Series, first_row: int) -> tuple[pl.Series, list[_Wrong]]:
    values, errors = (
        _one_of(given, spec.classes, first_row) if spec.classes else _number(given, spec.label.range, first_row)
    )
    return values, errors + [_Wrong(row, given.name, "is empty") for row in _rows(_filled(given).is_null(), first_row)]


def _one_of(given: pl.Series, allowed: tuple[str, ...], first_row: int) -> tuple[pl.Series, list[_Wrong]]:
    values = _filled(given).cast(pl.String)
    if not given.dtype.is_float():
        bad = values.is_not_null() & ~values.is_in(list(allowed))
    else:  # a category such as 1 that a file keeps as 1.0
        whole = given.cast(pl.Int64, strict=False)
        values = pl.select(
            pl.when(whole.cast(pl.Float64) == given).then(whole.cast(pl.String)).otherwise(values)
        ).to_series()
        bad = values.is_not_null() & ~values.is_in(list(allowed))
    listed = ", ".join(allowed[:20]) + (f" and {len(allowed) - 20} more" if len(allowed) > 20 else "")
    return values.alias(given.name), [
        _Wrong(row, given.name, f"{values[row - first_row]!r} is not allowed; allowed are {listed}")
        for row in _rows(bad, first_row)
    ]


def _number(given: pl.Series, allowed: tuple[float, float] | None, first_row: int) -> tuple[pl.Series, list[_Wrong]]:
    filled = _filled(given)
    values = (filled.str.strip_chars() if filled.dtype == pl.String else filled).cast(pl.Float64, strict=False)
    bad = (filled.is_not_null() & values.is_null()) | (values.is_not_null() & ~values.is_finite())
    errors = [
        _Wrong(row, given.name, f"{given[row - first_row]!r} is not a finite number") for row in _rows(bad, first_row)
    ]
    if allowed is not None:
        outside = values.is_finite().fill_null(value=False) & ((values < allowed[0]) | (values > allowed[1]))
        errors += [
            _Wrong(row, given.name, f"{values[row - first_row]:g} is out of range {allowed[0]:g} to {allowed[1]:g}")
            for row in _rows(outside, first_row)
        ]
    return values.alias(given.name), errors


def _times(found: pl.DataFrame, first_row: int) -> tuple[pl.Series, list[_Wrong]]:
    if "occurred_at" not in found.columns:
        return pl.Series([None] * found.height, dtype=MOMENT), []
    return _moments(found["occurred_at"], first_row)


def _moments(said: pl.Series, first_row: int) -> tuple[pl.Series, list[_Wrong]]:
    given = _filled(said)
    if given.dtype == pl.String:
        column = pl.lit(given)
        parsed = [column.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False) for form in _TIMES]
        dates = column.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        values = pl.select(pl.coalesce(*parsed, dates)).to_series()
    else:
        values = given.cast(pl.Datetime("us", getattr(given.dtype, "time_zone", None)))
        values = values.dt.convert_time_zone("UTC") if values.dtype.time_zone else values.dt.replace_time_zone("UTC")  # type: ignore[attr-defined]  # a Datetime
    bad = given.is_not_null() & values.is_null()
    return values, [
        _Wrong(row, said.name, f"{given[row - first_row]!r} is no moment; write it like 2026-03-01T08:00:00+00:00")
        for row in _rows(bad, first_row)
    ]


def _filled(given: pl.Series) -> pl.Series:
    """Empty text, as CSV writes what is missing, is missing; so is NaN."""
    if given.dtype == pl.String:
        return pl.select(pl.when(given.str.len_bytes() > 0).then(given)).to_series().alias(given.name)
    return given.fill_nan(None) if given.dtype.is_float() else given


def _rows(bad: pl.Series, first_row: int) -> Iterator[int]:
    return (int(place) + first_row for place in bad.fill_null(value=False).arg_true())


def _report(path: Path, wrong: list[_Wrong]) -> str:
    wrong = sorted(wrong, key=lambda each: (each.row, each.column))
    rows = len({each.row for each in wrong})
    lines = [f"{path}: row {each.row}, {each.column}: {each.said}" for each in wrong[:SHOWN]]
    more = [f"… and {len(wrong) - SHOWN} more in {rows} rows"] if len(wrong) > SHOWN else []
    return "\n".join([*lines, *more])
