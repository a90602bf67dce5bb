import pytest

from telemetry import metrics


def test_render_gives_the_metrics_of_the_process():
    metrics.counter("flywheel_test_things_total", "Things.", ["kind"]).labels("good").inc()
    body, content_type = metrics.render()
    assert b'flywheel_test_things_total{kind="good"} 1.0' in body
    assert content_type.startswith("text/plain")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (metrics.counter, "things_total"),
        (metrics.counter, "flywheel_things"),
        (metrics.gauge, "lag"),
        (metrics.histogram, "flywheel_latency"),
    ],
)
def test_a_name_without_prefix_or_unit_is_refused(make, name):
    with pytest.raises(ValueError, match=name):
        make(name, "Things.")


def test_a_label_with_one_value_per_user_is_refused():
    with pytest.raises(ValueError, match="user_id"):
        metrics.gauge("flywheel_test_users", "Users.", ["user_id"])
