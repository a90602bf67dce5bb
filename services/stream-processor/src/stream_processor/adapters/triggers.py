"""The trigger log and the labelled rows, in the lake."""

from typing_extensions import override

from flywheel_schemas.events import ThresholdReached
from lake import Lake, versions
from lake.triggers import TriggerLog
from stream_processor.application.ports import Triggers
from stream_processor.domain.thresholds import Crossing, LastTrigger


class LakeTriggers(Triggers):
    """Reads and writes `{model}/_flywheel/triggers/`; counts rows from the feedback table's log."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    @override
    def labelled_rows(self, model: str) -> tuple[int, int] | None:
        table = self._lake.table(model, "feedback")
        return versions.labelled_count(table) if table.exists() else None

    @override
    def last(self, model: str) -> LastTrigger | None:
        log = TriggerLog(self._lake, model)
        newest = log.newest()
        if newest is None:
            return None
        counted = newest if newest.labelled_rows is not None else log.newest_counted()
        return LastTrigger(newest.n, newest.trigger.occurred_at, (counted.labelled_rows or 0) if counted else 0)

    @override
    def record(self, event: ThresholdReached, crossing: Crossing) -> bool:
        return TriggerLog(self._lake, event.model).append(crossing.number, event, crossing.labelled_rows)

    @override
    def newest(self, model: str) -> ThresholdReached | None:
        return TriggerLog(self._lake, model).last()
