"""The account's reader sees what really lies in S3 and Kafka: also a row that should not be there."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import polars as pl
import pytest

from kafka_runtime.dead_letter import DeadLetters
from kafka_runtime.publisher import Publisher
from kafka_runtime.record import Record
from tests.chaos import lookups


@pytest.fixture
def table(fresh_env: dict[str, str]) -> str:
    """A table of three rows, the last of which was appended a second time."""
    uri = f"{fresh_env['LAKE_URI']}/m/feedback"
    for ids in (["a", "b"], ["c"], ["c"]):
        rows = pl.DataFrame({"event_id": ids})
        rows.write_delta(uri, mode="append", storage_options=lookups.storage(fresh_env))
    return uri


@pytest.mark.usefixtures("table")
def test_a_row_that_was_appended_twice_is_counted_twice(fresh_env: dict[str, str]) -> None:
    assert lookups.rows_by_id(fresh_env, "m", "feedback", "event_id") == Counter({"a": 1, "b": 1, "c": 2})


def test_a_table_that_was_never_made_holds_nothing(fresh_env: dict[str, str]) -> None:
    assert lookups.rows_by_id(fresh_env, "m", "quarantine", "event_id") == Counter()


@pytest.mark.usefixtures("table")
def test_a_table_whose_files_are_gone_is_an_error_and_not_empty(fresh_env: dict[str, str]) -> None:
    bucket, _, prefix = fresh_env["LAKE_URI"].removeprefix("s3://").partition("/")
    s3 = lookups.s3(fresh_env)
    for entry in s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/m/feedback/")["Contents"]:
        if entry["Key"].endswith(".parquet"):
            s3.delete_object(Bucket=bucket, Key=entry["Key"])
    with pytest.raises(Exception, match=r"(?i)not found|404|no such key"):
        lookups.rows_by_id(fresh_env, "m", "feedback", "event_id")


def test_a_row_that_outlived_its_users_erasure_is_found_and_later_ones_are_not(fresh_env: dict[str, str]) -> None:
    asked = datetime(2026, 1, 2, tzinfo=UTC)
    rows = pl.DataFrame(
        {
            "event_id": ["before", "after", "another"],
            "user_hash": ["u", "u", "v"],
            "received_at": [asked - timedelta(hours=1), asked + timedelta(hours=1), asked - timedelta(hours=1)],
        }
    )
    rows.write_delta(f"{fresh_env['LAKE_URI']}/m/feedback", storage_options=lookups.storage(fresh_env))
    bucket, _, prefix = fresh_env["LAKE_URI"].removeprefix("s3://").partition("/")
    said = json.dumps({"erased_before": asked.isoformat(), "asked_by": "ann"}).encode()
    lookups.s3(fresh_env).put_object(Bucket=bucket, Key=f"{prefix}/_flywheel/tombstones/u/1.json", Body=said)
    assert lookups.rows_that_were_erased(fresh_env, "m", "feedback") == Counter(["before"])


def test_dead_letters_are_counted_by_key_and_by_the_topic_they_came_from(fresh_env: dict[str, str]) -> None:
    settings, key, source = lookups.kafka(fresh_env), str(uuid4()), f"source-{uuid4()}"
    letters = DeadLetters(settings, Publisher(settings, source="a-test", linger_ms=0))
    for offset in (1, 2):
        letters.send(Record(source, 0, offset, key.encode(), b"\xff"), "unreadable", "…")
    letters.send(Record(f"other-{source}", 0, 1, key.encode(), b"\xff"), "unreadable", "…")
    assert lookups.dead_letters_by_key(fresh_env, source) == Counter({key: 2})
