"""Accounts for every event that ingest accepted: it is in the lake or in quarantine, exactly once."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flights.calls import MODEL
from lake import Lake, LakeError, read, versions
from lake.schema import Kind
from lake.triggers import TriggerLog
from registry import Registry


@dataclass(frozen=True, slots=True)
class Account:
    """Accepted = rows in the lake + duplicates + quarantined, where nothing is lost or doubled or of unknown origin."""

    accepted: int
    stored: int
    duplicates: int
    quarantined: int
    lost: int
    doubled: int
    unknown: int

    @property
    def balances(self) -> bool:
        """Whether the sum is exact and every event is where it belongs."""
        total = self.stored + self.duplicates + self.quarantined
        return total == self.accepted and not (self.lost or self.doubled or self.unknown)


def account(accepted: Sequence[str], stored: Sequence[str], quarantined: Sequence[str]) -> Account:
    """From the event ids: each acceptance by ingest, and each row of the two tables."""
    sent, rows = set(accepted), Counter([*stored, *quarantined])
    return Account(
        accepted=len(accepted),
        stored=len(stored),
        duplicates=len(accepted) - len(sent),
        quarantined=len(quarantined),
        lost=len(sent - rows.keys()),
        doubled=sum(rows.values()) - len(rows),
        unknown=len(rows.keys() - sent),
    )


def event_ids(lake: Lake, kind: Kind) -> list[str]:
    """Event ids of a table of the model, read by Polars; none where it was never needed."""
    found = lake.table(MODEL, kind)
    if not found.exists():
        return []
    return read.scan(found).select("event_id").collect()["event_id"].to_list()


def wait_until_stored(lake: Lake, accepted: Sequence[str], answers: int, timeout_s: float) -> bool:
    """Whether as many rows arrived in time as there are different accepted events, and as there were answers."""
    events = len(set(accepted))
    return _wait(
        lambda: _rows(lake, "feedback", "quarantine") >= events and _rows(lake, "predictions") >= answers, timeout_s
    )


def wait_until_trained(lake: Lake, registry: Registry, timeout_s: float) -> bool:
    """Whether every trigger came to its outcome in time."""
    return _wait(lambda: not _open_triggers(lake, registry), timeout_s)


def _rows(lake: Lake, *kinds: Kind) -> int:
    tables = [lake.table(MODEL, kind) for kind in kinds]
    return sum(versions.row_count(table) for table in tables if table.exists())


def _open_triggers(lake: Lake, registry: Registry) -> list[str]:
    ended = {run.trigger_id for run in registry.runs(MODEL) if run.outcome}
    announced = [str(trigger.trigger_id) for trigger in TriggerLog(lake, MODEL).all()]
    return [trigger for trigger in announced if trigger not in ended]


def _wait(done: Callable[[], bool], timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        try:
            if done():
                return True
        except LakeError:
            pass  # not there yet, or not reachable: the time-out decides
        time.sleep(0.5)
    return False
