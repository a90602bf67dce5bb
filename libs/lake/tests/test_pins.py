import os
import time
import uuid
from datetime import timedelta

import polars as pl
import pytest

from flywheel_schemas.spec_model import RetentionPolicy
from lake.pins import Pins

ROWS = pl.DataFrame({"event_id": ["b", None, "a", "c"], "weight": [1.0, 2.0, 3.0, 4.0]})


@pytest.fixture
def pins(lake):
    return Pins(lake, "fruit")


def grown_old(lake, key, age):
    path = lake.objects._root / key
    moment = time.time() - age.total_seconds()
    os.utime(path, (moment, moment))


def test_a_training_set_is_read_as_it_was_written(pins):
    pins.keep("d1", ROWS)
    pins.keep("d1", ROWS.head(1))
    assert pins.rows("d1").collect().equals(ROWS)
    assert pins.rows("other") is None


def test_which_events_a_training_set_holds_is_known_without_reading_its_rows(lake, pins):
    pins.keep("d1", ROWS)
    assert pins.events("d1") == ["a", "b", "c"]
    lake.objects.delete("fruit/_flywheel/training_sets/d1.parquet")
    assert [pins.holds("d1", event) for event in ("a", "b", "c", "d")] == [True, True, True, False]


def test_sets_of_before_there_were_ids_are_searched_all_the_same(lake, pins):
    pins.keep("d1", ROWS)
    lake.objects.delete("fruit/_flywheel/training_sets/d1.events.parquet")
    assert pins.holds("d1", "a")
    assert not pins.holds("d1", "d")
    assert not pins.holds("gone", "a")


def test_sets_go_when_their_models_are_old_and_do_not_serve(lake, pins):
    for version, digest in (("1", "old"), ("2", "serving"), ("3", "young"), ("4", "shared"), ("5", "shared")):
        pins.keep(digest, ROWS)
        pins.note(version, {"version": version, "training_set_hash": digest})
    for version in ("1", "2", "4"):
        grown_old(lake, f"fruit/_flywheel/versions/{version}.json", timedelta(days=31))
    policy = RetentionPolicy(dataset_versions=timedelta(days=30))
    assert pins.expire(policy, {"serving"}) == ["old"]
    assert pins.rows("old") is None
    assert all(pins.rows(digest) is not None for digest in ("serving", "young", "shared"))


def test_a_set_that_no_version_names_goes_after_a_week(lake, pins):
    pins.keep("of a training that broke off", ROWS)
    policy = RetentionPolicy(dataset_versions=timedelta(days=30))
    assert pins.expire(policy, set()) == []
    for end in (".parquet", ".events.parquet"):
        grown_old(lake, f"fruit/_flywheel/training_sets/of a training that broke off{end}", timedelta(days=8))
    assert pins.expire(policy, set()) == ["of a training that broke off"]
    assert lake.objects.list("fruit/_flywheel/training_sets/") == []


def test_the_feedback_of_a_set_is_read_page_by_page_and_counted_by_source(pins):
    pins.keep("d1", ROWS.with_columns(source=pl.Series(["app", "base", "app", "shop"])))
    assert list(pins.page("d1", "", 2)["event_id"]) == ["a", "b"]
    assert list(pins.page("d1", "b", 2)["event_id"]) == ["c"]
    assert pins.page("gone", "", 2) is None
    assert pins.counts("d1") == {"app": 2, "base": 1, "shop": 1}
    assert pins.counts("gone") == {}


def test_an_erasure_of_some_rows_leaves_it_known_that_the_others_taught(pins):
    ids = [str(uuid.uuid5(uuid.NAMESPACE_URL, str(n))) for n in range(2_000)]
    pins.keep("d1", pl.DataFrame({"event_id": ids, "source": ["api"] * len(ids)}))
    assert all(pins.holds("d1", event_id) for event_id in ids[:20])
    pins.strip("d1", set(ids[:10]))
    assert [pins.holds("d1", event_id) for event_id in ids[:20]] == [False] * 10 + [True] * 10
