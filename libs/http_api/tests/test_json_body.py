import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_api import json_body
from http_api.problems import Problem, ProblemError


def refusal(raw: bytes) -> Problem:
    with pytest.raises(ProblemError) as caught:
        json_body.parse_strict(raw)
    assert caught.value.problem.status == 400
    return caught.value.problem


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_whatever_json_can_say_is_read(value):
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        text.decode()
    except UnicodeDecodeError:
        refusal(text)
        return
    assert json_body.parse_strict(text) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw):
    try:
        json_body.parse_strict(raw)
    except ProblemError as error:
        assert error.problem.status == 400


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b'{"a": 1,\n "b": }', "line 2, column 7"),
        (b'{"a": 1', "line 1, column 8"),
        (b'{"a": "x}', "line 1, column 7"),
        (b'{"a": "\x01"}', "line 1, column 8"),
        (b"[1, 2] 3", "line 1, column 8"),
        (b'\xef\xbb\xbf{"a": 1}', "line 1, column 1"),
        (b'{"a": NaN}', "line 1, column 7: NaN is not JSON"),
        (b'{"NaN": "NaN",\n"b": -Infinity}', "line 2, column 6: -Infinity is not JSON"),
        (b'{"a": 1e999}', "line 1, column 7: the number is beyond"),
        (b'{"a": ' + b"9" * 5000 + b"}", "line 1, column 7: the number has 5000 digits"),
        (b'{"a": "\n\xff"}', "byte 0xff at line 2, column 1"),
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"[" * 100_000, "line 1, column 33: nested deeper than 32"),
    ],
)
def test_what_is_broken_is_named_with_line_and_column(raw, told):
    assert told in refusal(raw).detail


def test_brackets_inside_strings_are_not_nesting():
    assert json_body.parse_strict(b'{"a": "' + b"[" * 100 + b'\\"{"}')


def test_a_repeated_key_is_named_with_its_pointer():
    problem = refusal(b'{"features": [{"a/b": 1, "c": 2, "a/b": 3}]}')
    assert "'a/b' stands twice" in problem.detail
    assert problem.errors[0].pointer == "/features/0/a~1b"


def test_a_repeated_key_is_seen_through_its_escapes():
    assert refusal(rb'{"label": 1, "\u006cabel": 2}').errors[0].pointer == "/label"


@pytest.mark.parametrize("raw", [b'"' + b'\\"' * 500_000, b'{"a": ' * 200_000, b'"\\' * 300_000, b"1" * 1_000_000])
def test_no_body_is_read_once_for_each_of_its_characters(raw):
    begun = time.perf_counter()
    refusal(raw)
    assert time.perf_counter() - begun < 60
