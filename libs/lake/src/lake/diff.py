"""What changed between two versions of a table: rows and labels, by day, source and model version.

Only files that the two versions do not share are read, and rows that merely moved between files (compaction) cancel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl
from deltalake import DeltaTable

from lake import read
from lake.schema import Kind
from lake.table import LakeTable

GROUPS = ("day", "source", "model_version", "label")
_COUNTS = ("added", "removed", "relabelled")
_ORDER = ("received_at", "kafka_partition", "kafka_offset")


@dataclass(frozen=True, slots=True)
class Change:
    """Rows of one day, source, model version and label (null where the table has no such thing).

    `relabelled` counts predictions whose newest word is another than before, under what they are labelled now.
    """

    day: date | None
    source: str | None
    model_version: str | None
    label: str | None
    added: int
    removed: int
    relabelled: int


@dataclass(frozen=True, slots=True)
class Diff:
    """From one version to the other; `changes` oldest day first."""

    from_version: int
    to_version: int
    added: int
    removed: int
    relabelled: int
    changes: Sequence[Change]


def diff(table: LakeTable, from_version: int, to_version: int | None = None) -> Diff:
    """What happened from `from_version` to `to_version` (None: the newest), in either direction.

    Raises TableMissing, or VersionGone where the files of a version have been removed.
    """
    before, after = table.at(from_version), table.at(to_version)
    old, new = differing(table, before, after)
    added, removed = old_and_new(old, new)
    relabelled = _relabelled(table, before, after, pl.concat([added, removed]))
    counted = changes(added, removed, relabelled)
    found = [Change(**row) for row in counted.to_dicts()]
    return Diff(
        int(before.version()), int(after.version()), added.height, removed.height, relabelled.height, tuple(found)
    )


def differing(table: LakeTable, before: DeltaTable, after: DeltaTable) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of the files that only `before` has, and of those that only `after` has: `key`, GROUPS and order."""
    old, new = set(before.file_uris()), set(after.file_uris())
    return (
        _rows(table, before, sorted(old - new)),
        _rows(table, after, sorted(new - old)),
    )


def old_and_new(old: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(added, removed): rows whose `key` only `new` has, and rows whose `key` only `old` has."""
    return new.join(old, on="key", how="anti"), old.join(new, on="key", how="anti")


def changes(added: pl.DataFrame, removed: pl.DataFrame, relabelled: pl.DataFrame) -> pl.DataFrame:
    """Counts per group, by day; columns GROUPS, added, removed, relabelled."""
    parts = [
        frame.select(*GROUPS, *(pl.lit(int(name == counted), pl.Int64).alias(name) for name in _COUNTS))
        for counted, frame in zip(_COUNTS, (added, removed, relabelled), strict=True)
    ]
    return pl.concat(parts).group_by(GROUPS).agg(pl.col(_COUNTS).sum()).sort(GROUPS, nulls_last=True)


def newest_words(words: pl.DataFrame) -> pl.DataFrame:
    """Of each prediction the labelled row that was received last."""
    said = words.filter(pl.col("prediction_id").is_not_null() & pl.col("label").is_not_null())
    return said.sort(_ORDER).unique("prediction_id", keep="last", maintain_order=True)


def relabelled_words(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """The newest words in `new` whose prediction was labelled otherwise by the newest word in `old`."""
    earlier = newest_words(old).select("prediction_id", pl.col("label").alias("_was"))
    joined = newest_words(new).join(earlier, on="prediction_id", how="inner")
    return joined.filter(pl.col("label") != pl.col("_was")).drop("_was")


def _relabelled(table: LakeTable, before: DeltaTable, after: DeltaTable, changed: pl.DataFrame) -> pl.DataFrame:
    if table.kind != "feedback":
        return changed.clear()
    touched = changed.select("prediction_id").drop_nulls().unique()

    def words(opened: DeltaTable) -> pl.DataFrame:
        frame = _described(read.files(table, opened, None), table.kind)
        return read.collect(frame.join(touched.lazy(), on="prediction_id", how="semi"), table.uri)

    return changed.clear() if touched.is_empty() else relabelled_words(words(before), words(after))


def _rows(table: LakeTable, opened: DeltaTable, uris: list[str]) -> pl.DataFrame:
    return read.collect(_described(read.files(table, opened, uris), table.kind), table.uri)


def _described(frame: pl.LazyFrame, kind: Kind) -> pl.LazyFrame:
    """`frame` as `key`, prediction_id, GROUPS and the columns that order words."""
    none = pl.lit(None, pl.String)
    day, arrival = pl.col("event_date"), [pl.col(name) for name in _ORDER]
    label, of_version, prediction = pl.col("label"), none, none
    match kind:
        case "feedback":
            key, source, of_version = pl.col("event_id"), pl.col("source"), pl.col("model_version")
            prediction = pl.col("prediction_id")
        case "predictions":
            key, source, of_version = pl.col("prediction_id"), pl.col("variant"), pl.col("model_version")
            label = pl.col("predicted")
        case "quarantine":
            key, source, label = pl.col("event_id"), pl.col("kind"), pl.col("reason")
        case "base":
            # Rows of the base have no name: they are told apart by content, equal ones by how many there are.
            content = pl.concat_str(pl.all().cast(pl.String).fill_null("\x00"), separator="\x1f")
            frame = frame.with_columns(content.alias("_content"))
            nth = pl.int_range(pl.len()).over("_content").cast(pl.String)
            key, source = pl.concat_str("_content", nth, separator="\x1f"), pl.lit("base")
            day, arrival = pl.col("occurred_at").dt.date(), [pl.lit(None).alias(name) for name in _ORDER]
    return frame.select(
        key.alias("key"),
        prediction.alias("prediction_id"),
        day.alias("day"),
        source.alias("source"),
        of_version.alias("model_version"),
        label.cast(pl.String).alias("label"),
        *arrival,
    )
