import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.profile import Fence, Profile
from flywheel_schemas.spec import parse_spec

SPEC = parse_spec(
    """
name: fruit
task: binary
label: {name: ripe, values: ["no", "yes"], positive: "yes"}
features:
  - {name: weight, type: number}
  - {name: rain, type: number}
  - {name: constant, type: number}
  - {name: colour, type: category, values: [red]}
"""
)
RNG = np.random.default_rng(0)
BASE = {
    "weight": RNG.normal(100.0, 10.0, 5000),
    "rain": np.where(RNG.random(5000) < 0.9, 0.0, RNG.exponential(0.1, 5000)),
    "constant": np.full(5000, 3.0),
}
PROFILE = Profile.of(BASE, SPEC)


def column(*values):
    return {"weight": np.array(values, dtype=float)}


def test_only_what_varies_has_a_fence():
    assert set(PROFILE.fences) == {"weight", "rain"}
    assert Profile.of({name: values[:50] for name, values in BASE.items()}, SPEC).fences == {}


def test_base_rows_themselves_are_not_suspicious():
    assert len(PROFILE.suspicious(BASE)) <= 5


@pytest.mark.parametrize(("value", "held"), [(100.0, False), (160.0, False), (1000.0, True), (-300.0, True)])
def test_a_value_far_from_all_others_is_suspicious(value, held):
    found = PROFILE.suspicious(column(100.0, value))
    assert list(found) == ([1] if held else [])
    if held:
        name, score = found[1]
        assert score > 1.0
        assert f"outlier: {name} is {value:g}" in PROFILE.sentence(name, score, value)


def test_what_is_missing_is_not_suspicious():
    assert PROFILE.suspicious(column(float("nan"))) == {}
    assert PROFILE.suspicious({}) == {}


def test_the_worst_feature_is_named():
    found = PROFILE.suspicious({"weight": np.array([300.0]), "rain": np.array([1e6])})
    assert found[0][0] == "rain"


@given(st.floats(-1e9, 1e9), st.floats(0.0, 1e6))
def test_farther_out_never_scores_lower(value, more):
    fence = Fence(-1.0, 2.0)
    near, far = fence.scores(np.array([value, value + more if value > 0 else value - more]))
    assert near <= far + 1e-9
    assert (near > 0) == (value < -1.0 or value > 2.0)


def test_it_is_read_back_without_features_that_are_gone():
    assert Profile.decode(PROFILE.encode(), SPEC.feature_names) == PROFILE
    assert set(Profile.decode(PROFILE.encode(), ["rain"]).fences) == {"rain"}
