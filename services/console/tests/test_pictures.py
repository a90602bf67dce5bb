from hypothesis import given
from hypothesis import strategies as st

from console.domain.charts import HEIGHT, WIDTH, line_chart
from console.domain.lineage import steps
from console.domain.rates import Sample, rates, total

METRICS = """# HELP flywheel_x_total X
# TYPE flywheel_x_total counter
flywheel_x_total{outcome="stored",topic="feedback-events"} 10.0
flywheel_x_total{outcome="stored",topic="predictions"} 4.0
flywheel_x_created{outcome="stored"} 1.7e+09
"""


def test_a_metric_is_summed_over_the_series_that_are_asked_for():
    assert total(METRICS, "flywheel_x_total") == 14
    assert total(METRICS, "flywheel_x_total", 'topic="feedback') == 10
    assert total(METRICS, "flywheel_y_total") is None


def test_a_rate_is_the_growth_between_two_looks_and_a_restart_counts_from_zero():
    samples = [Sample(0, {"x": 10}), Sample(2, {"x": 30}), Sample(4, {}), Sample(6, {"x": 8}), Sample(8, {"x": 2})]

    assert rates(samples, "x") == [(2, 10), (8, 1)]


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(-1e6, 1e6)), min_size=2, max_size=30))
def test_every_point_of_a_chart_lies_inside_it(points):
    chart = line_chart("t", {"x": sorted(points)})

    assert chart is not None
    for pair in chart.lines[0].path[1:].split("L"):
        x, y = map(float, pair.split())
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


def test_one_point_is_no_line():
    assert line_chart("t", {"x": [(0, 1)]}) is None


def test_each_station_of_an_event_is_done_now_or_later():
    def told(**status):
        status = {"status": "stored", "trained_into": [], "serving": False, "dataset_version": 4, **status}
        return [(step.name, step.when) for step in steps(status, None)]

    assert told(status="received")[1:] == [
        ("Accepted", "done"),
        ("In the dataset", "now"),
        ("Trained into", "later"),
        ("Serving", "later"),
    ]
    assert told()[-2:] == [("Trained into", "now"), ("Serving", "later")]
    assert told(trained_into=["7"], serving=True)[-2:] == [("Trained into", "done"), ("Serving", "done")]
    assert told(status="quarantined", reason="no such label")[-1] == ("In quarantine", "stopped")
