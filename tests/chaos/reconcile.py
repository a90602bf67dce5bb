"""The account: every acknowledged id is in exactly one place, exactly once, and nothing is there that nobody sent."""

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Account:
    """The outcome. `lost`, `doubled` and `invented` are ids; `found` is how many rows each place holds."""

    acknowledged: int
    lost: frozenset[str]
    doubled: frozenset[str]
    invented: frozenset[str]
    found: Mapping[str, int]

    @property
    def balanced(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.invented)

    def in_words(self) -> str:
        """One sentence; of what is wrong, some ids."""
        places = ", ".join(f"{count:,} in {place}" for place, count in self.found.items())
        wrong = [
            f"{len(ids):,} {kind} ({', '.join(sorted(ids)[:_SHOWN])})"
            for kind, ids in (("lost", self.lost), ("doubled", self.doubled), ("invented", self.invented))
            if ids
        ]
        return f"{self.acknowledged:,} acknowledged; {places}" + (f"; {'; '.join(wrong)}" if wrong else "")


def reconcile(acknowledged: Set[str], sent: Set[str], places: Mapping[str, Counter[str]]) -> Account:
    """The account of one kind of event. `places` counts how often each place holds each id."""
    total: Counter[str] = Counter()
    for held in places.values():
        total.update(held)
    return Account(
        acknowledged=len(acknowledged),
        lost=frozenset(acknowledged - total.keys()),
        doubled=frozenset(id for id, count in total.items() if count > 1),
        invented=frozenset(total.keys() - sent - acknowledged),
        found={place: held.total() for place, held in places.items()},
    )
