import threading
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from flywheel_schemas.events import ThresholdReached, TriggerReason
from lake import LakeSettings
from lake.triggers import Mark, TriggerLog, trigger_id


def trigger(n: int) -> ThresholdReached:
    return ThresholdReached(
        trigger_id=trigger_id("fruit", n), model="fruit", reason=TriggerReason.COUNT, dataset_version=n,
        observed=10.0, threshold=10.0, occurred_at=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip


def test_an_object_is_put_once(lake):
    assert lake.objects.put_if_absent("fruit/_flywheel/a", b"1")
    assert not lake.objects.put_if_absent("fruit/_flywheel/a", b"2")
    assert lake.objects.get("fruit/_flywheel/a") == b"1"
    assert lake.objects.list("fruit/_flywheel/") == ["fruit/_flywheel/a"]


def test_a_file_is_uploaded_once(lake, tmp_path):
    source = tmp_path / "big"
    source.write_bytes(b"x" * 100_000)
    assert lake.objects.upload_if_absent("fruit/_flywheel/training_sets/h", source)
    assert not lake.objects.upload_if_absent("fruit/_flywheel/training_sets/h", source)
    assert lake.objects.size("fruit/_flywheel/training_sets/h") == 100_000


def test_what_is_absent_has_no_content_and_no_size(lake):
    assert lake.objects.get("nothing") is None
    assert lake.objects.size("nothing") is None


def test_a_spec_is_read_back_and_names_its_model(lake, spec):
    lake.specs.put(spec)
    assert lake.specs.get("fruit") == spec
    assert lake.models() == ["fruit"]


def test_a_broken_spec_leaves_the_other_models_alone(lake, spec):
    lake.specs.put(spec)
    lake.objects.put("broken/spec.yaml", b"name: [")
    assert lake.models() == ["fruit"]


def test_of_two_who_see_the_same_crossing_one_writes_it(lake):
    log, other = TriggerLog(lake, "fruit"), TriggerLog(lake, "fruit")
    assert log.append(0, trigger(0), Mark(10, {0: 4, 1: -1}))
    assert not other.append(0, trigger(0), Mark(11, {}))
    assert log.newest().mark == Mark(10, {0: 4, 1: -1})  # type: ignore[union-attr]


def test_the_log_keeps_the_order(lake):
    log = TriggerLog(lake, "fruit")
    assert log.last() is None
    log.append(0, trigger(0), Mark(10, {0: 4, 1: -1}))
    log.append(1, trigger(1))
    assert log.all() == [trigger(0), trigger(1)]
    assert log.last() == trigger(1)
    assert log.newest().mark is None  # type: ignore[union-attr]
    assert log.since(trigger(0).occurred_at) == [trigger(1), trigger(0)]


@pytest.mark.parametrize("wrong", ["lake", "http://x/y", "s3:/bucket"])
def test_a_lake_address_of_another_kind_is_refused(wrong):
    with pytest.raises(ValidationError, match="LAKE_URI"):
        LakeSettings(LAKE_URI=wrong)


def test_half_a_pair_of_keys_is_refused(monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with pytest.raises(ValidationError, match="AWS_SECRET_ACCESS_KEY"):
        LakeSettings(LAKE_URI="s3://b/p", AWS_ACCESS_KEY_ID="a")


def test_the_age_of_an_object_counts_from_its_last_write(lake):
    assert lake.objects.age_s("aged") is None
    lake.objects.put("aged", b"x")
    assert lake.objects.age_s("aged") < 600


def test_an_object_that_goes_while_it_is_asked_for_is_absent(lake, tmp_path):
    ended = threading.Event()

    def comes_and_goes() -> None:
        while not ended.is_set():
            lake.objects.put("fickle", b"x")
            lake.objects.delete("fickle")

    thread = threading.Thread(target=comes_and_goes)
    thread.start()
    try:
        for _ in range(2000):
            assert lake.objects.get("fickle") in (None, b"x")
            assert lake.objects.size("fickle") in (None, 1)
            assert (lake.objects.age_s("fickle") or 0.0) < 600
            lake.objects.download("fickle", tmp_path / "copy")
    finally:
        ended.set()
        thread.join()
