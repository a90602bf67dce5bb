"""The trigger log and the new feedback, in the lake."""

from datetime import timedelta

import numpy as np
import polars as pl
from typing_extensions import override

from flywheel_schemas.events import ThresholdReached
from flywheel_schemas.spec import ModelSpec
from lake import Lake, read, rollback, versions
from lake.triggers import LoggedTrigger, Mark, TriggerLog, mark
from stream_processor.application.ports import Triggers
from stream_processor.domain.thresholds import LastTrigger, NewFeedback, weighed

# Kafka keeps feedback for a week: what is stored later was received no earlier.
_LATEST_ARRIVAL = timedelta(days=8)


class LakeTriggers(Triggers):
    """Reads and writes `{model}/_flywheel/triggers/`; counts from the feedback table.

    New is what lies beyond the offsets that the last trigger noted, so a row counts once, however late it is stored,
    and whatever compaction does to the files.
    """

    def __init__(self, lake: Lake, partitions: int) -> None:
        self._lake = lake
        self._partitions = partitions

    @override
    def mark(self, model: str) -> tuple[int, Mark] | None:
        return mark(self._lake, model, self._partitions)

    @override
    def last(self, model: str) -> LastTrigger | None:
        newest = TriggerLog(self._lake, model).newest()
        if newest is None:
            return None
        then, at = newest.mark.labelled_rows if newest.mark else 0, newest.trigger.occurred_at
        return LastTrigger(newest.n, at, rollback.counted_from(self._lake, model, then, at))

    @override
    def new_feedback(self, spec: ModelSpec, version: int) -> NewFeedback:
        newest = TriggerLog(self._lake, spec.name).newest()
        words = self._words(spec.name, version, newest)
        # The last word about an answer stands for it; whose it is decides whose share it counts to.
        answers = words.unique("_about", keep="last", maintain_order=True)
        users = answers.filter(pl.col("user_hash").is_not_null()).group_by("user_hash").len()["len"].to_numpy()
        base = self._lake.table(spec.name, "base")
        others = (versions.row_count(base) if base.exists() else 0) + (
            newest.mark.labelled_rows if newest and newest.mark else 0
        )
        anonymous = answers["user_hash"].null_count()
        counted = weighed(users.astype(np.int64), anonymous, others, spec.feedback.max_share_per_user)
        return NewFeedback(counted, words.height, self._quarantined(spec.name, newest))

    @override
    def record(self, event: ThresholdReached, number: int, mark: Mark) -> bool:
        return TriggerLog(self._lake, event.model).append(number, event, mark)

    @override
    def newest(self, model: str) -> ThresholdReached | None:
        return TriggerLog(self._lake, model).last()

    def _words(self, model: str, version: int, newest: LoggedTrigger | None) -> pl.DataFrame:
        table = self._lake.table(model, "feedback")
        frame = read.scan(table, version).filter(pl.col("label").is_not_null() & (pl.col("kind") != "rating"))
        if newest and newest.mark:
            earliest = (newest.trigger.occurred_at - _LATEST_ARRIVAL).date()
            stored = [
                (pl.col("kafka_partition") == partition) & (pl.col("kafka_offset") <= offset)
                for partition, offset in newest.mark.offsets.items()
            ]
            frame = frame.filter((pl.col("event_date") >= earliest) & ~pl.any_horizontal(stored))
        elif newest:
            frame = frame.filter(pl.col("received_at") > newest.trigger.occurred_at)
        about = pl.coalesce("prediction_id", "event_id").alias("_about")
        chosen = frame.select(about, "user_hash", "received_at", "event_id")
        return read.collect(chosen, table.uri).sort("received_at", "event_id")

    def _quarantined(self, model: str, newest: LoggedTrigger | None) -> int:
        table = self._lake.table(model, "quarantine")
        if not table.exists():
            return 0
        frame = read.scan(table).filter(pl.col("kind") != "prediction")
        if newest:
            frame = frame.filter(pl.col("received_at") > newest.trigger.occurred_at)
        return int(read.collect(frame.select(pl.len()), table.uri).item())
