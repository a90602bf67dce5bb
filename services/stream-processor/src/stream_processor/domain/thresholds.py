"""When a model has new feedback enough to be trained again."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class LastTrigger:
    """The newest trigger, and how many labelled rows the table had at the newest one that counted them."""

    number: int
    occurred_at: datetime
    labelled_rows: int


@dataclass(frozen=True, slots=True)
class Crossing:
    """`observed` labelled rows since the last trigger reach `threshold`; it becomes trigger `number`."""

    number: int
    observed: int
    threshold: int
    labelled_rows: int


def crossing(
    labelled_rows: int, last: LastTrigger | None, threshold: int | None, cooldown: timedelta, now: datetime
) -> Crossing | None:
    """The crossing to announce, or None: too few new rows, or too soon after the last trigger.

    Rows deleted since the last trigger count against new ones.
    """
    if threshold is None:
        return None
    observed = labelled_rows - (last.labelled_rows if last else 0)
    if observed < threshold or (last and now - last.occurred_at < cooldown):
        return None
    return Crossing(last.number + 1 if last else 0, observed, threshold, labelled_rows)
