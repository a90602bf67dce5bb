import json
import math

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import Answers, FeatureSchema
from flywheel_schemas.spec import FeatureSpec, LabelSpec, ModelSpec

CARRIERS = ("UA", "AA", "B6")
SPEC = ModelSpec(
    name="flights-x",
    task="binary",
    label=LabelSpec(name="late", values=("on_time", "late"), positive="late"),
    features=(
        FeatureSpec(name="carrier", type="category", values=CARRIERS, required=True),
        FeatureSpec(name="distance", type="number", range=(0.0, 6000.0), required=True),
        FeatureSpec(name="hour", type="number"),
        FeatureSpec(name="class", type="category", values=("a", "ü~/", "3")),
        FeatureSpec(name="gust", type="number", range=(-math.inf, 1e18)),
    ),
)
SCHEMA = FeatureSchema(SPEC)
DECODER = msgspec.json.Decoder(SCHEMA.row_type)

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**320), 10**320)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([*CARRIERS, "a", "3", 0, 6000, 6000.5, -0.0, 2**53 + 1, 10**18, 10**18 + 200, 1e308, 10**309]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
valid_values = {
    "carrier": st.sampled_from(CARRIERS),
    "distance": st.floats(0, 6000) | st.integers(0, 6000),
    "hour": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70),
    "class": st.none() | st.sampled_from(["a", "ü~/", "3"]),
    "gust": st.none() | st.floats(max_value=1e18, allow_infinity=False, allow_nan=False),
}
required = {name: valid_values[name] for name in ("carrier", "distance")}
optional = {name: valid_values[name] for name in ("hour", "class", "gust")}
valid_instances = st.fixed_dictionaries(required, optional=optional)
near_misses = st.builds(
    lambda base, changes, dropped: {k: v for k, v in {**base, **changes}.items() if k not in dropped},
    valid_instances,
    st.dictionaries(st.sampled_from([*SCHEMA.names, "other", "a/b~c"]), anything, max_size=2),
    st.sets(st.sampled_from(SCHEMA.names), max_size=1),
)


def decodes(instance: object) -> bool:
    try:
        DECODER.decode(json.dumps(instance))
    except msgspec.DecodeError:
        return False
    return True


@settings(max_examples=800, deadline=None)
@given(near_misses | anything)
def test_the_decoder_accepts_exactly_what_has_no_violations(instance: object) -> None:
    assert decodes(instance) == (SCHEMA.violations(instance) == [])


@settings(max_examples=200, deadline=None)
@given(st.lists(valid_instances, min_size=1, max_size=5))
def test_columns_rows_and_single_rows_give_the_same_bits(instances: list[dict[str, object]]) -> None:
    structs = [DECODER.decode(json.dumps(instance)) for instance in instances]
    single = np.array([SCHEMA.row(struct) for struct in structs])
    columns = {name: [instance.get(name) for instance in instances] for name in SCHEMA.names}
    assert single.tobytes() == SCHEMA.matrix(columns).tobytes()
    assert single.tobytes() == SCHEMA.rows(structs).tobytes()
    arrow = {
        name: pa.chunked_array(
            [pa.array([v if isinstance(v, str) or v is None else float(v) for v in column], arrow_type(name))]
        )
        for name, column in columns.items()
    }
    assert single.tobytes() == SCHEMA.matrix(arrow).tobytes()


def arrow_type(name: str) -> pa.DataType:
    return pa.string() if name in ("carrier", "class") else pa.float64()


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"carrier": "ZZ"}, "/carrier", ["'ZZ'", "UA, AA, B6"]),
        ({"carrier": 7}, "/carrier", ["text", "a number"]),
        ({"carrier": None}, "/carrier", ["required", "null"]),
        ({"distance": True}, "/distance", ["a truth value"]),
        ({"distance": "12"}, "/distance", ["is text"]),
        ({"distance": 6001}, "/distance", ["6001", "0 to 6000"]),
        ({"distance": math.nan}, "/distance", ["finite"]),
        ({"hour": 10**400}, "/hour", ["64-bit"]),
        ({"hour": []}, "/hour", ["a list"]),
        ({"a/b~c": 1}, "/a~1b~0c", ["no such feature", "carrier, distance"]),
        ({"carrier": "x" * 5000}, "/carrier", ["5000 characters"]),
    ],
)
def test_a_violation_names_field_type_and_what_is_allowed(
    change: dict[str, object], pointer: str, words: list[str]
) -> None:
    [problem] = SCHEMA.violations({"carrier": "UA", "distance": 1.5} | change)
    assert problem.pointer == pointer
    assert len(problem.detail) < 300
    for word in words:
        assert word in problem.detail


def test_at_most_twenty_allowed_categories_are_listed() -> None:
    many = tuple(f"v{i}" for i in range(30))
    spec = SPEC.model_copy(update={"features": (FeatureSpec(name="c", type="category", values=many),)})
    [problem] = FeatureSchema(spec).violations({"c": "no"})
    assert "v19 and 10 more" in problem.detail
    assert "v20" not in problem.detail


def test_what_is_missing_is_named_and_null_is_missing() -> None:
    assert {p.pointer for p in SCHEMA.violations({"hour": None})} == {"/carrier", "/distance"}
    assert SCHEMA.violations({"carrier": "UA", "distance": 0, "hour": None, "class": None}) == []
    assert [p.pointer for p in SCHEMA.violations([1])] == [""]


def test_an_unknown_category_is_nan_in_a_column() -> None:
    for carriers in (["UA", "ZZ", None], np.array(["UA", "ZZ", None], object), pa.array(["UA", "ZZ", None])):
        matrix = SCHEMA.matrix({"carrier": carriers, "distance": np.array([1, 2, 3])})
        assert matrix[0, 0] == 0.0
        assert np.isnan(matrix[1:, 0]).all()
        assert matrix[:, 1].tolist() == [1.0, 2.0, 3.0]
        assert np.isnan(matrix[:, 2:]).all()


def test_columns_that_cannot_be_right_are_refused() -> None:
    with pytest.raises(ValueError, match="distance"):
        SCHEMA.matrix({"carrier": ["UA"]})
    with pytest.raises(ValueError, match="length"):
        SCHEMA.matrix({"carrier": ["UA"], "distance": [1.0, 2.0]})
    with pytest.raises(ValueError, match="text"):
        SCHEMA.matrix({"carrier": ["UA"], "distance": ["1.0"]})


def test_the_schema_knows_its_categorical_columns() -> None:
    assert SCHEMA.categorical_indices == (0, 3)


def test_a_model_of_one_feature_works() -> None:
    spec = SPEC.model_copy(update={"features": (FeatureSpec(name="x", type="number"),)})
    schema = FeatureSchema(spec)
    assert schema.row(msgspec.json.decode(b'{"x": 2}', type=schema.row_type)).tolist() == [2.0]


def test_binary_answers_follow_the_positive_class_wherever_it_stands() -> None:
    flipped = SPEC.model_copy(update={"label": LabelSpec(name="late", values=("late", "on_time"), positive="late")})
    for spec in (SPEC, flipped):
        answers = Answers(spec)
        assert answers.targets(["late", "on_time"]).tolist() == [1.0, 0.0]
        assert answers.decide([0.5]) == ("late", {"on_time": 0.5, "late": 0.5})
        assert answers.decide([0.25]) == ("on_time", {"on_time": 0.75, "late": 0.25})


def test_multiclass_and_regression_answers() -> None:
    colours = LabelSpec(name="colour", values=("r", "g", "b"))
    multi = Answers(SPEC.model_copy(update={"task": "multiclass", "label": colours}))
    assert multi.width == 3
    assert multi.targets(["b", "r"]).tolist() == [2.0, 0.0]
    assert multi.decide([0.2, 0.5, 0.3]) == ("g", {"r": 0.2, "g": 0.5, "b": 0.3})
    number = Answers(SPEC.model_copy(update={"task": "regression", "label": LabelSpec(name="minutes")}))
    assert number.decide([3.5]) == (3.5, None)
    assert number.targets([1, 2.5]).tolist() == [1.0, 2.5]
