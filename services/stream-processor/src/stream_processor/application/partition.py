"""What the process knows of one partition that it owns."""

from dataclasses import dataclass, field

from stream_processor.domain.seen import SeenIds


@dataclass(slots=True)
class Partition:
    """One assignment of one partition; a new assignment makes a new object, so nothing stale survives.

    `position` is the first offset that is not acknowledged. `watermarks` are, by model, the last offset whose
    outcome the table holds. `aside` and `dead` are offsets at or above `position` whose quarantine or dead letter
    was written by an earlier life of this partition. `released` are keys of events that an operator let in again.
    """

    number: int
    position: int
    seen: SeenIds
    watermarks: dict[str, int] = field(default_factory=dict)
    aside: set[int] = field(default_factory=set)
    dead: set[int] = field(default_factory=set)
    released: set[int] = field(default_factory=set)
    revoked: bool = False
