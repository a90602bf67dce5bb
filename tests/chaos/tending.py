"""A job that rewrites tables, dying by SIGKILL before its NTH change: `python -m tests.chaos.tending JOB [NTH]`.

A change is an object written or a Delta commit made under a table's lock. `finish` completes what the dead left.
"""

import os
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from flywheel_schemas.spec_model import RetentionPolicy
from lake import Lake, LakeSettings, locks, rollback, upkeep, versions
from lake.errors import Conflict, VersionGone
from lake.locks import LockHeld
from lake.objects import S3Objects
from registry import Registry, RegistrySettings
from tests.chaos import traffic
from tests.dying import Fuse
from tests.http import http
from tests.waiting import until
from trainer.adapters.erasures import LakeErasures
from trainer.application.erase import Erase

_BACK_BY = 5
# A job that meets the lock of one that died has to wait until it expires.
_PATIENCE_S = 3 * locks.TTL_S


def tend(lake: Lake) -> None:
    """Index and merge files, however few there are; finish what rollbacks left."""

    def idle() -> bool:
        done = upkeep.keep_up(lake, traffic.MODEL, RetentionPolicy(), datetime.now(UTC), full=True)
        return not any(table.busy for table in done)

    _again(idle, "upkeep")


def roll_back(lake: Lake) -> None:
    """Take the feedback some versions back, under load."""

    def back() -> bool:
        newest = versions.list_versions(lake.table(traffic.MODEL, "feedback"), 1)[0].version
        to_version, now = max(0, newest - _BACK_BY), datetime.now(UTC)
        wanted = rollback.asked(
            lake, traffic.MODEL, to_version, uuid.uuid4(), reason="chaos", who="tests.chaos", at=now
        )
        rollback.rollback(lake, traffic.MODEL, wanted)
        return True

    _again(back, "a rollback")


def erase(lake: Lake) -> None:
    """Ask ingest to forget a user, and carry out all that was asked."""
    path = f"/v1/users/{traffic.user(uuid.uuid4().int)}/feedback"
    until(lambda: http.delete(os.environ["INGEST_URL"] + path, timeout=15).status_code == 202, what="ingest")
    _carry_out_erasures(lake)


def finish(lake: Lake) -> None:
    """Complete every rollback and erasure that was begun."""
    tend(lake)
    _carry_out_erasures(lake)


def _carry_out_erasures(lake: Lake) -> None:
    registry = Registry(RegistrySettings())
    erasures = LakeErasures(lake)
    work_off = Erase(erasures, registry, registry.run_store, lambda: datetime.now(UTC))

    def all_done() -> bool:
        work_off()
        return not erasures.pending()

    _again(all_done, "erasures")


def _again(step: Callable[[], bool], what: str) -> None:
    """Until it is done; another who works on the table is waited for."""

    def done() -> bool:
        try:
            return step()
        except (LockHeld, Conflict, VersionGone):
            time.sleep(1)
            return False

    until(done, _PATIENCE_S, what)


def _arm(patch: pytest.MonkeyPatch, fuse: Fuse) -> None:
    def before(real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*args: Any, **kwargs: Any) -> Any:
            fuse.burn()
            return real(*args, **kwargs)

        return change

    for owner, name in ((S3Objects, "put"), (S3Objects, "put_if_absent"), (locks.TableLock, "commit")):
        patch.setattr(owner, name, before(getattr(owner, name)))


JOBS: dict[str, Callable[[Lake], None]] = {"upkeep": tend, "rollback": roll_back, "erasure": erase, "finish": finish}


def main() -> int:
    """0 when the job is done."""
    job, nth = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upkeep, "SMALL_FILES_OF_TODAY", 2)
        _arm(patch, Fuse(nth))
        JOBS[job](Lake(LakeSettings()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
