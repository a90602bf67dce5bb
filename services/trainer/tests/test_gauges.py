from datetime import UTC, datetime

from evidence.quality import Estimate
from flywheel_schemas.spec import parse_spec
from lake.versions import Size
from trainer.adapters.gauges import Gauges
from trainer.application.measuring import Seen
from trainer.domain.live import LiveQuality
from trainer.domain.rollout import Release, Standing, Trial

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SPEC = parse_spec(
    """
    name: flights
    task: binary
    label: {name: late, values: [on_time, late], positive: late}
    features: [{name: distance, type: number}]
    retrain: {quality: {below: 0.7}}
    """
)


def release(version: str) -> Release:
    return Release(version, "run", "s3://models", "0" * 64)


def shown(*quality: LiveQuality, percent: float = 20.0) -> dict[tuple[str, ...], float]:
    trial = Trial(release("4"), "canary", percent, NOW, NOW)
    seen = Seen(SPEC, NOW, Standing(release("3"), trial=trial), {"feedback": Size(7, 900, 3, 4096)}, quality)
    gauges = Gauges()
    gauges.show({"flights": seen})
    return {
        (sample.name.removeprefix("flywheel_"), *(v for k, v in sample.labels.items() if k != "model")): sample.value
        for family in gauges.collect()
        for sample in family.samples
    }


def test_an_estimate_is_shown_with_its_bounds_and_one_without_audits_is_not():
    known = LiveQuality("3", 9000, 300, accuracy=Estimate(0.8, 0.75, 0.84, 300))
    unknown = LiveQuality("4", 50, 0)
    found = shown(known, unknown)
    assert found["model_accuracy_ratio", "3", "value"] == 0.8
    assert found["model_accuracy_ratio", "3", "low"] == 0.75
    assert found["model_accuracy_ratio", "3", "high"] == 0.84
    assert ("model_accuracy_ratio", "4", "value") not in found
    assert (found["model_window_audits", "3"], found["model_window_audits", "4"]) == (300, 0)


def test_precision_and_recall_are_those_of_each_class():
    half = Estimate(0.5, 0.4, 0.6, 300)
    found = shown(LiveQuality("3", 9000, 300, classes={"late": (half, Estimate(0.9, 0.8, 1.0, 300))}))
    assert found["model_precision_ratio", "3", "late", "value"] == 0.5
    assert found["model_recall_ratio", "3", "late", "low"] == 0.8


def test_the_limits_of_the_spec_stand_beside_what_they_limit():
    found = shown()
    assert found["model_accuracy_floor_ratio",] == 0.7
    assert found["model_drift_psi_limit",] == 0.2


def test_traffic_is_shared_among_those_who_answer():
    found = shown()
    assert found["model_traffic_ratio", "3", "champion"] == 0.8
    assert found["model_traffic_ratio", "4", "canary"] == 0.2
    assert shown(percent=0.0)["model_traffic_ratio", "4", "shadow"] == 0.0


def test_the_dataset_is_shown_by_table():
    found = shown()
    assert found["dataset_rows", "feedback"] == 900
    assert found["dataset_bytes", "feedback"] == 4096


def test_a_version_that_is_gone_is_shown_no_longer():
    gauges = Gauges()
    quality = [LiveQuality("3", 9000, 300)]
    gauges.show({"flights": Seen(SPEC, NOW, Standing(), {}, quality)})
    gauges.show({})
    assert [sample for family in gauges.collect() for sample in family.samples] == []
