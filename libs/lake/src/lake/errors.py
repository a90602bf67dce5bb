"""What can go wrong in the lake, and what to do about it.

LakeError
├── Retryable           nothing is lost: wait, then do the same again
│   ├── LakeUnavailable     the object store does not answer
│   └── Conflict            another writer was quicker: take a new snapshot
│       └── ColumnsMissing      a rollback took columns away for a moment: ensure the schema, then again
├── Poison              these rows will never be stored: single them out
│   └── RowsRefused
└── Fatal               a person must look: stop, and say so
    ├── TableMissing        a table that was there is gone; it is never created anew
    ├── TableUnreadable     its log is damaged, or needs a newer reader
    ├── VersionGone         that version's files or log entries have been cleaned up
    ├── AccessDenied        wrong credentials, or no such bucket
    └── SchemaChanged       a column has another type than the model's spec says
"""

from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import (
    CommitFailedError,
    DeltaError,
    DeltaProtocolError,
    SchemaMismatchError,
    TableNotFoundError,
)


class LakeError(Exception):
    """The root: everything that this package raises on purpose."""


class Retryable(LakeError):
    """Doing the same again may work; nothing was lost."""


class LakeUnavailable(Retryable):
    """The object store did not answer, or answered that it cannot."""


class Conflict(Retryable):
    """Another writer changed the table meanwhile."""


class ColumnsMissing(Conflict):
    """The table lacks columns of the rows; ensure its schema."""


class Poison(LakeError):
    """Rows that no retry will store."""


class RowsRefused(Poison):
    """Rows whose values do not fit the table."""


class Fatal(LakeError):
    """Going on would do harm; a person must look."""


class TableMissing(Fatal):
    """There is no such table, or it has lost its log."""


class TableUnreadable(Fatal):
    """The table's log is damaged, or asks for features that this reader lacks."""


class VersionGone(Fatal):
    """The version can no longer be read."""


class AccessDenied(Fatal):
    """The object store refuses us: wrong credentials, or no such bucket."""


class SchemaChanged(Fatal):
    """A column of the table has another type than the spec gives it."""


_DENIED = (
    "lacked the necessary privileges",
    "403 forbidden",
    "accessdenied",
    "signaturedoesnotmatch",
    "invalidaccesskeyid",
    "nosuchbucket",
)
_POISON = ("cast error", "invalid data found", "table features must be specified", "duplicate field name")
_STALE = ("invalid table version", "metadata changed", "concurrent", "added new data", "deleted data")
_STORE = ("generic s3 error", "error performing", "connection", "timed out", "timeout", "object store")

_REMOVED = "has files of this version no more: vacuum removed them; read a newer one, or a pinned training set"

# First match wins: the class that deltalake raised, words in its message (none: any), ours, and what we say about it.
_TABLE: tuple[tuple[type[BaseException], tuple[str, ...], type[LakeError], str], ...] = (
    (TableNotFoundError, (), TableMissing, "is no Delta table; if it was one, restore its _delta_log"),
    (DeltaProtocolError, (), TableUnreadable, "needs a newer reader; upgrade deltalake"),
    (FileNotFoundError, (), VersionGone, _REMOVED),
    (OSError, ("no_such_key",), VersionGone, _REMOVED),  # a file that was opened while it was there
    (SchemaMismatchError, (), Conflict, "has gained or lost a column meanwhile"),
    (
        Exception,
        _DENIED,
        AccessDenied,
        "is refused to us; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and that the bucket of LAKE_URI exists",
    ),
    (Exception, _POISON, RowsRefused, "does not take these rows"),
    (CommitFailedError, (), Conflict, "was changed by another writer meanwhile"),
    (DeltaError, _STALE, Conflict, "has changed since the snapshot"),
    (DeltaError, _STORE, LakeUnavailable, "cannot be reached; check S3_ENDPOINT_URL"),
    (DeltaError, (), TableUnreadable, "cannot be read; its log may be damaged"),
    (OSError, (), LakeUnavailable, "cannot be reached; check S3_ENDPOINT_URL"),
)


def translate(error: BaseException, where: str) -> LakeError:
    """The LakeError that says what to do about `error`, which deltalake, pyarrow or Polars raised at `where`."""
    if isinstance(error, LakeError):
        return error
    text = " ".join(str(error).split())
    for raised, words, ours, sentence in _TABLE:
        if isinstance(error, raised) and (not words or any(word in text.lower() for word in words)):
            return ours(f"{where} {sentence} ({text[:300]})")
    return LakeUnavailable(f"{where} cannot be used ({type(error).__name__}: {text[:300]})")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise what the block raises as a LakeError that names `where`; programming errors go through as they are."""
    try:
        yield
    except (TypeError, AttributeError, NameError, LakeError):
        raise
    except Exception as exc:
        raise translate(exc, where) from exc
