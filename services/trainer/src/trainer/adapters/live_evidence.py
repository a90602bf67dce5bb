"""What the lake holds of a trial: answers given aside, and audited answers of both versions at each share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from evidence.sequential import Arm, Outcomes, Stratum
from flywheel_schemas.spec import ModelSpec
from lake import Lake, read
from trainer.domain import resolution
from trainer.domain.rollout import Standing, Trial

_FEEDBACK = (
    "event_id",
    "prediction_id",
    "model_version",
    "predicted",
    "label",
    "kind",
    "audited",
    "user_hash",
    "occurred_at",
    "received_at",
)


@dataclass(frozen=True, slots=True)
class Window:
    """A time, [since, until), in which one version's answers count."""

    since: datetime
    until: datetime


class LakeEvidence:
    """Reads the two tables anew each time: they are the truth, and hold whatever came late."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def shadowed(self, spec: ModelSpec, trial: Trial) -> int:
        """Answers that the challenger has given aside since the trial began."""
        since = pl.col("occurred_at") >= trial.started_at
        mine = (pl.col("model_version") == trial.release.version) & (pl.col("variant") == "shadow")
        return self._frame(spec, "predictions", ("prediction_id",), since & mine).height

    def strata(self, spec: ModelSpec, standing: Standing, now: datetime) -> tuple[Stratum, ...]:
        """One per share of the traffic so far, the present one last.

        At all of the traffic nobody meets the champion any more: its answers of the time before are taken instead,
        as long a time as the rollout may last.
        """
        trial, champion = standing.trial, standing.champion
        if trial is None or champion is None or trial.percent <= 0.0:
            return ()
        spans = [(each.percent, Window(each.since, each.until)) for each in trial.passed]
        spans.append((trial.percent, Window(trial.since, now)))
        pairs = [(_champions(spec, window, percent), window) for percent, window in spans]
        versions = (champion.version, trial.release.version)
        earliest = min(theirs.since for theirs, _ in pairs)
        answers, counts = self._answers(spec, versions, earliest), self._counts(spec, versions, earliest)
        return tuple(
            Stratum(_arm(answers, counts, versions[0], theirs), _arm(answers, counts, versions[1], own))
            for theirs, own in pairs
        )

    def _answers(self, spec: ModelSpec, versions: Sequence[str], since: datetime) -> pl.DataFrame:
        """One row per audited prediction that got a label: version, answered_at, predicted and score."""
        asked = (pl.col("received_at") >= since) & pl.col("model_version").is_in(versions) & pl.col("audited")
        words = resolution.labelled(self._frame(spec, "feedback", _FEEDBACK, asked))
        one = resolution.resolve(
            words.filter(pl.col("prediction_id").is_not_null() & pl.col("predicted").is_not_null())
        )
        return one.select(
            "model_version",
            _answered_at().alias("answered_at"),
            (pl.lit("") if spec.task == "regression" else pl.col("predicted")).alias("predicted"),
            _score(spec, one).alias("score"),
        )

    def _counts(self, spec: ModelSpec, versions: Sequence[str], since: datetime) -> pl.DataFrame:
        if spec.task == "regression":
            return pl.DataFrame(schema={"model_version": pl.String, "predicted": pl.String, "occurred_at": pl.Datetime})
        shown = (
            (pl.col("occurred_at") >= since) & pl.col("model_version").is_in(versions) & (pl.col("variant") != "shadow")
        )
        return self._frame(spec, "predictions", ("model_version", "predicted", "occurred_at"), shown)

    def _frame(self, spec: ModelSpec, kind: Any, columns: Sequence[str], where: pl.Expr) -> pl.DataFrame:
        table = self._lake.table(spec.name, kind)
        if not table.exists():
            return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
        return read.collect(read.scan(table).filter(where).select(columns), table.uri)


def _champions(spec: ModelSpec, window: Window, percent: float) -> Window:
    if percent < 100.0:
        return window
    return Window(window.since - spec.rollout.give_up_after, window.since)


def _arm(answers: pl.DataFrame, counts: pl.DataFrame, version: str, window: Window) -> Arm:
    def within(column: str) -> pl.Expr:
        return (pl.col("model_version") == version) & pl.col(column).is_between(window.since, window.until, "left")

    heard = (
        answers.filter(within("answered_at"))
        .group_by("predicted")
        .agg(pl.len().alias("n"), pl.col("score").sum().alias("total"), (pl.col("score") ** 2).sum().alias("squares"))
    )
    made = counts.filter(within("occurred_at")).group_by("predicted").len() if counts.height else None
    return Arm(
        {predicted: Outcomes(n, total, squares) for predicted, n, total, squares in heard.iter_rows()},
        dict(made.iter_rows()) if made is not None else {},
    )


def _score(spec: ModelSpec, answers: pl.DataFrame) -> pl.Expr:
    """1 for right and 0 for wrong; of a number minus its error, in units of the mean error of all."""
    if spec.task != "regression":
        return (pl.col("predicted") == pl.col("label")).cast(pl.Float64)
    error = (pl.col("predicted") - pl.col("label")).abs()
    mean = answers.select(error.mean()).item() if answers.height else None
    return -error / (mean or 1.0)


def _answered_at() -> pl.Expr:
    """The time in a prediction's id (UUID version 7 begins with milliseconds); of another id, when feedback came."""
    digits = pl.col("prediction_id").str.slice(0, 8) + pl.col("prediction_id").str.slice(9, 4)
    stamped = digits.str.to_integer(base=16, dtype=pl.Int64, strict=False).cast(pl.Datetime("ms"))
    is_v7 = pl.col("prediction_id").str.slice(14, 1) == "7"
    stamped = stamped.dt.replace_time_zone("UTC").cast(pl.Datetime("us", "UTC"))
    return pl.when(is_v7).then(stamped).otherwise(pl.col("received_at").cast(pl.Datetime("us", "UTC")))
