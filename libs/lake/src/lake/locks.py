"""One lock per table for whatever rewrites it: compaction, vacuum, deletes, rollback. Appends never take it.

The lock is a numbered object, `{model}/_flywheel/locks/{kind}/{epoch:08d}.json`: whoever creates the next number holds
it. Its holder writes it anew every third of TTL_S; when it has not been written for TTL_S its holder is taken for dead
and the next number may be created. Ages are the store's own (its clock against its own time stamps), so machines with
wrong clocks cannot take a lock too early. The number is a fencing token: each commit under the lock carries it as a
Delta application transaction, so a holder that slept past its time fails to commit beside its successor's commits.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from deltalake import CommitProperties, Transaction

from lake.errors import LakeError, Retryable
from lake.lake import Lake
from lake.objects import Objects
from lake.schema import Kind

TTL_S = 60.0
_POLL_S = 0.5
_TRANSACTION = "flywheel/lock"


class LockHeld(Retryable):
    """Another process works on the table."""


class LockLost(Retryable):
    """The lock went to another process while this one did not renew it; nothing more was committed."""


class TableLock:
    """A lock that is held. Safe to use from several threads."""

    def __init__(self, objects: Objects, prefix: str, epoch: int, holder: str) -> None:
        self.epoch = epoch
        self._objects = objects
        self._prefix = prefix
        self._holder = holder

    def check(self) -> None:
        """Raises LockLost unless the lock is still ours. Call it before each step that changes the table."""
        if _epochs(self._objects, self._prefix)[-1:] != [self.epoch]:
            raise LockLost(f"{self._objects.uri(self._prefix)}: {self._holder} was too slow, another took over")

    def commit(self, metadata: Mapping[str, str] | None = None) -> CommitProperties:
        """What every commit under this lock passes to Delta: the fencing token, and `metadata`."""
        return CommitProperties(
            custom_metadata=dict(metadata or {}), app_transactions=[Transaction(_TRANSACTION, self.epoch)]
        )

    def renew(self) -> None:
        """Show that the holder lives. Raises LockLost, LakeUnavailable."""
        self.check()
        self._write(released=False)

    def release(self) -> None:
        """Let the next one in at once. The object stays, so that numbers never come twice."""
        self._write(released=True)

    def _write(self, *, released: bool) -> None:
        self._objects.put(_key(self._prefix, self.epoch), _body(self._holder, released=released))


@contextmanager
def hold(
    lake: Lake, model: str, kind: Kind, who: str, *, wait_s: float = 0.0, ttl_s: float = TTL_S
) -> Iterator[TableLock]:
    """Hold the lock of one table in the block, waiting up to `wait_s` for it; `who` is shown to those who wait.

    Raises LockHeld where others keep it for longer, LakeUnavailable, AccessDenied.
    """
    prefix = f"{model}/_flywheel/locks/{kind}/"
    lock = _acquire(lake.objects, prefix, who, wait_s=wait_s, ttl_s=ttl_s)
    ended = threading.Event()
    renewing = threading.Thread(target=_keep, args=(lock, ended, ttl_s / 3), name="table-lock", daemon=True)
    renewing.start()
    try:
        yield lock
    finally:
        ended.set()
        renewing.join()
        # Where the store is away the lock ends by itself, after TTL_S.
        with suppress(LakeError):
            lock.release()


def holder(lake: Lake, model: str, kind: Kind, *, ttl_s: float = TTL_S) -> str | None:
    """Who works on the table now, or None."""
    prefix = f"{model}/_flywheel/locks/{kind}/"
    newest = _epochs(lake.objects, prefix)[-1:]
    return _living(lake.objects, _key(prefix, newest[0]), ttl_s) if newest else None


def _acquire(objects: Objects, prefix: str, who: str, *, wait_s: float, ttl_s: float) -> TableLock:
    deadline = time.monotonic() + wait_s
    while True:
        lock = _try(objects, prefix, who, ttl_s)
        if isinstance(lock, TableLock):
            return lock
        if time.monotonic() >= deadline:
            raise LockHeld(f"{objects.uri(prefix)}: {lock} works on this table; try again when it is done")
        time.sleep(min(_POLL_S, wait_s))


def _try(objects: Objects, prefix: str, who: str, ttl_s: float) -> TableLock | str:
    """The lock, or who has it."""
    newest = (_epochs(objects, prefix) or [-1])[-1]
    if newest >= 0 and (living := _living(objects, _key(prefix, newest), ttl_s)):
        return living
    key = _key(prefix, newest + 1)
    if not objects.put_if_absent(key, _body(who, released=False)):
        return "somebody who came first"
    # A slow racer may have created a number that was already cleaned up: only the highest counts.
    epochs = _epochs(objects, prefix)
    if epochs[-1:] != [newest + 1]:
        objects.delete(key)
        return "somebody who came first"
    for old in epochs[:-1]:
        objects.delete(_key(prefix, old))
    return TableLock(objects, prefix, newest + 1, who)


def _keep(lock: TableLock, ended: threading.Event, every_s: float) -> None:
    while not ended.wait(every_s):
        try:
            lock.renew()
        except LockLost:
            return
        except LakeError:
            # Away for a moment; if it stays so, the lock goes to another, and check() says it.
            continue


def _living(objects: Objects, key: str, ttl_s: float) -> str | None:
    """The holder's name, or None where it has released the lock or gone silent."""
    age_s = objects.age_s(key)
    if age_s is None or age_s > ttl_s:
        return None
    said: dict[str, Any] = json.loads(objects.get(key) or b'{"released": true}')
    return None if said["released"] else str(said["holder"])


def _epochs(objects: Objects, prefix: str) -> list[int]:
    names = (key.removeprefix(prefix).removesuffix(".json") for key in objects.list(prefix))
    return sorted(int(name) for name in names if name.isdecimal())


def _key(prefix: str, epoch: int) -> str:
    return f"{prefix}{epoch:08d}.json"


def _body(who: str, *, released: bool) -> bytes:
    return json.dumps({"holder": who, "released": released}).encode()
