"""When a model has new feedback enough to be trained again: clean, resolved and weighed, not raw events."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from evidence.caps import weight_limit
from flywheel_schemas.spec import RetrainPolicy


@dataclass(frozen=True, slots=True)
class LastTrigger:
    """The newest trigger, and how many labelled rows the table had then."""

    number: int
    occurred_at: datetime
    labelled_rows: int


@dataclass(frozen=True, slots=True)
class NewFeedback:
    """What came since the last trigger: `weighed` answers that got a label, and events put into quarantine.

    `labelled` counts the rows that said so, more than one where people repeat or contradict each other.
    """

    weighed: int
    labelled: int
    quarantined: int

    @property
    def clean_share(self) -> float:
        """Of what arrived, the share that was not put into quarantine."""
        arrived = self.labelled + self.quarantined
        return self.labelled / arrived if arrived else 1.0


@dataclass(frozen=True, slots=True)
class Crossing:
    """`observed` weighed answers since the last trigger reach `threshold`; it becomes trigger `number`."""

    number: int
    observed: int
    threshold: int
    note: str


@dataclass(frozen=True, slots=True)
class HeldBack:
    """There is feedback enough, and a reason to wait."""

    why: str


def may_have_crossed(labelled_rows: int, last: LastTrigger | None, threshold: int | None) -> bool:
    """Whether a closer look is worth it: a labelled row counts for one answer at most.

    Fewer rows than at the last trigger mean that some were deleted since, so that only a closer look tells.
    """
    if threshold is None:
        return False
    before = last.labelled_rows if last else 0
    return labelled_rows < before or labelled_rows - before >= threshold


def weighed(per_user: np.ndarray, anonymous: int, others: int, max_share: float) -> int:
    """New answers, those of each user capped as training caps their weight: at `max_share` of everything.

    `others` are the rows of base and of earlier feedback. Where there are none, nobody is outweighed or capped.
    """
    if not len(per_user) or not others:
        return int(per_user.sum()) + anonymous
    limit = weight_limit(per_user.astype(np.float64), max_share, float(others + anonymous))
    return int(np.minimum(per_user, max(limit, 1.0)).sum()) + anonymous


def crossing(
    new: NewFeedback, last: LastTrigger | None, policy: RetrainPolicy, now: datetime
) -> Crossing | HeldBack | None:
    """The crossing to announce, or why it waits; None for too little new feedback."""
    threshold = policy.feedback_count
    if threshold is None or new.weighed < threshold:
        return None
    if why := policy.held_back(now, last.occurred_at if last else None):
        return HeldBack(why)
    if new.clean_share < policy.min_clean_share:
        asked = f"retrain.min_clean_share asks for {policy.min_clean_share:.0%}"
        return HeldBack(f"{new.clean_share:.0%} of the new feedback came in clean, {asked}")
    note = f"{new.weighed:,} answers have a new label, {threshold:,} are enough; {new.clean_share:.0%} came in clean"
    return Crossing(last.number + 1 if last else 0, new.weighed, threshold, note)
