import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import FeatureSchema
from http_api.problems import ProblemError
from inference.entrypoints.requests import BodyDecoder, problems_of

from .conftest import make_spec

SCHEMA = FeatureSchema(make_spec())
DECODER = BodyDecoder(SCHEMA)
GOOD = {"carrier": "UA", "distance": 12}

values = (
    st.none()
    | st.booleans()
    | st.integers(-10, 7000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["UA", "x"])
)
instances = st.dictionaries(st.sampled_from(["carrier", "distance", "hour", "other"]), values, max_size=4)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "instances": st.lists(instances | st.just(GOOD) | values, max_size=3) | values,
        "user_id": st.none() | st.text(max_size=3) | st.just("u" * 257) | st.integers(),
        "user": values,
    },
)


def refusal(raw: bytes) -> ProblemError:
    with pytest.raises(ProblemError) as refused:
        DECODER.decode(raw)
    return refused.value


@settings(max_examples=500, deadline=None)
@given(bodies | values | st.lists(values))
def test_what_is_refused_at_speed_is_what_has_problems(body: object) -> None:
    raw = json.dumps(body).encode()
    found = list(problems_of(body, SCHEMA))
    if not found:
        rows, user_id = DECODER.decode(raw)
        assert isinstance(body, dict)
        assert (len(rows), user_id) == (len(body["instances"]), body.get("user_id"))
        return
    problem = refusal(raw).problem
    assert problem.status == 422
    assert list(problem.errors) == found


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b'{"instances": [{"carrier": "UA", "distance": 1, "distance": 2}]}', "distance"),
        (b'{"instances": [{"carrier": "UA"}], "instances": [{"carrier": "UA"}]}', "instances"),
        (b'{"instances": [{"carrier": "UA", "hour": null, "hour" : 3}]}', "hour"),
        (b'{"instances": [{"carrier": "UA", "hour": NaN}]}', "NaN"),
        (b'{"instances": [{"carrier": "UA", "hour": 1e999}]}', "64-bit"),
        (b'{"instances": [{"carrier": "U\xff"}]}', "UTF-8"),
        (b'{"instances": [{"carrier": "UA"}', "line 1, column"),
        (b"[" * 100_000, "32"),
        (b"", "empty"),
    ],
)
def test_what_is_no_sound_json_is_a_400_that_says_where(raw: bytes, words: str) -> None:
    problem = refusal(raw).problem
    assert problem.status == 400
    assert words in f"{problem.detail} {problem.errors}"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"instances": [{"carrier": "UA", "hour": null, "distance": null}]}',
        b'{"instances" : [ {"carrier"\n:"UA"} ] }',
        '{"instances": [{"carrier": "UA"}], "user_id": "say \\"this\\": ü"}'.encode(),
        b'{"instances": [{"carrier": "UA"}], "user_id": "urn:x"}',
    ],
)
def test_nulls_spaces_and_texts_that_look_like_keys_are_no_repeated_keys(raw: bytes) -> None:
    rows, _ = DECODER.decode(raw)
    assert SCHEMA.numbers(rows[0])[0] == 0.0


def test_a_problem_names_instance_and_feature() -> None:
    body = {"instances": [GOOD, GOOD, GOOD, {"carrier": "ZZ"}]}
    [error] = refusal(json.dumps(body).encode()).problem.errors
    assert error.pointer == "/instances/3/carrier"
    assert "UA, AA, B6" in error.detail


def test_ten_thousand_rows_are_taken_and_one_more_is_not() -> None:
    rows, _ = DECODER.decode(json.dumps({"instances": [GOOD] * 10_000}).encode())
    assert len(rows) == 10_000
    assert math.isnan(SCHEMA.numbers(rows[0])[2])
    assert "10,001" in refusal(json.dumps({"instances": [GOOD] * 10_001}).encode()).problem.errors[0].detail


def test_no_more_than_a_hundred_errors_are_listed() -> None:
    assert len(refusal(json.dumps({"instances": [{}] * 500}).encode()).problem.errors) == 100
