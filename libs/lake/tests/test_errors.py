import pytest
from deltalake.exceptions import (
    CommitFailedError,
    DeltaError,
    DeltaProtocolError,
    SchemaMismatchError,
    TableNotFoundError,
)

from lake import errors

CASES = [
    (CommitFailedError("Failed to commit transaction: Concurrent transaction failed."), errors.Conflict),
    (CommitFailedError("Metadata changed since last commit."), errors.Conflict),
    (CommitFailedError("Commit failed: a concurrent transaction deleted data this operation read."), errors.Conflict),
    (CommitFailedError("a concurrent transaction added new data"), errors.Conflict),
    (DeltaError("Invalid table version: 7"), errors.Conflict),
    (SchemaMismatchError("Cannot cast schema, number of fields does not match: 1 vs 7"), errors.Conflict),
    (OSError("Generic S3 error: Error performing GET http://127.0.0.1:1/x"), errors.LakeUnavailable),
    (OSError("Generic S3 error: Server returned 503 Service Unavailable"), errors.LakeUnavailable),
    (DeltaError("Cast error: Cannot cast string 'x' to value of Float64 type"), errors.RowsRefused),
    (DeltaError("Invalid data found: 1 rows failed validation check."), errors.RowsRefused),
    (
        CommitFailedError("Table features must be specified, please specify: TimestampWithoutTimezone"),
        errors.RowsRefused,
    ),
    (Exception("Schema error: Duplicate field name: a"), errors.RowsRefused),
    (TableNotFoundError("No files in log segment"), errors.TableMissing),
    (DeltaProtocolError("Unsupported reader version"), errors.TableUnreadable),
    (DeltaError("Json error: expected value at line 1"), errors.TableUnreadable),
    (OSError("The operation lacked the necessary privileges to complete for path a"), errors.AccessDenied),
    (OSError("Error performing list request: <Code>NoSuchBucket</Code>"), errors.AccessDenied),
]


@pytest.mark.parametrize(("raised", "ours"), CASES, ids=[str(case[0])[:40] for case in CASES])
def test_each_error_of_the_client_says_what_to_do(raised, ours):
    with pytest.raises(ours, match="s3://b/t"), errors.translated("s3://b/t"):
        raise raised


def test_every_leaf_is_retryable_poison_or_fatal():
    leaves = {ours for _, ours in CASES}
    assert all(issubclass(leaf, errors.Retryable | errors.Poison | errors.Fatal) for leaf in leaves)


def test_a_mistake_in_our_own_code_is_not_taken_for_an_outage():
    with pytest.raises(TypeError), errors.translated("s3://b/t"):
        len(3)  # type: ignore[arg-type]
