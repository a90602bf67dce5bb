"""Which well-formed rows are kept apart all the same: erased at their user's wish, or far from everything in the base.

Both are decided row by row, so a record has the same fate whatever came beside it and however often it is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.profile import Profile
from lake.erasures import ERASED, Tombstone, Tombstones
from stream_processor.domain.routing import Quarantine

# Put on a record that an operator released from the quarantine; it is stored without a look at its values.
RELEASED_BY = "flywheel_released_by"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a row is kept apart. `stone` where it is erased, else `score` says how suspicious it is."""

    reason: str
    score: float | None = None
    stone: Tombstone | None = None


@dataclass(frozen=True, slots=True)
class Screens:
    """What rows are held against. Profiles by model; a model without one has no outliers."""

    tombstones: Tombstones = field(default_factory=lambda: Tombstones(()))
    profiles: Mapping[str, Profile] = field(default_factory=dict)

    def verdicts(self, model: str, table: pa.Table) -> dict[int, Verdict]:
        """By place in `table` those rows that are kept apart."""
        found = self._outliers(model, table) if "kind" in table.column_names else {}
        return found | self._erased(table)

    def erased(self, outcome: Quarantine, received_at_us: int) -> Quarantine:
        """A quarantined event, blanked if its user has asked for that."""
        stone = self.tombstones.covering(outcome.user_hash, _moment(received_at_us))
        return outcome if stone is None else outcome.blanked(ERASED, stone.marker)

    def _outliers(self, model: str, table: pa.Table) -> dict[int, Verdict]:
        profile = self.profiles.get(model)
        if profile is None:
            return {}
        columns = {
            name: table.column(name).to_numpy(zero_copy_only=False)
            for name in profile.fences
            if name in table.column_names and table.column(name).null_count < table.num_rows
        }
        return {
            at: Verdict(profile.sentence(name, score, float(columns[name][at])), score)
            for at, (name, score) in profile.suspicious(columns).items()
        }

    def _erased(self, table: pa.Table) -> dict[int, Verdict]:
        if not self.tombstones.by_user:
            return {}
        asked = pc.is_in(table.column("user_hash"), pa.array(list(self.tombstones.by_user), pa.string()))
        found = {}
        for at in np.flatnonzero(asked.to_numpy(zero_copy_only=False)).tolist():
            moment = table.column("received_at")[at].as_py()
            if stone := self.tombstones.covering(table.column("user_hash")[at].as_py(), moment):
                found[at] = Verdict(ERASED, None, stone)
        return found


def _moment(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
