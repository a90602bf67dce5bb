"""Whatever is sent, the answer is a problem that says what to mend, and never a 500."""

import asyncio
import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import Service, example

RAW = json.dumps(example()).encode()


@pytest.mark.parametrize(
    ("raw", "status", "told"),
    [
        (b"", 400, "empty"),
        (b'{"kind": "rating",\n "rating": }', 400, "line 2, column 12"),
        (RAW[:-1], 400, "line 1"),
        (RAW + b"x", 400, "line 1"),
        (RAW.replace(b"1400", b"NaN"), 400, "NaN is not JSON"),
        (RAW.replace(b"1400", b"-Infinity"), 400, "-Infinity is not JSON"),
        (RAW.replace(b"1400", b"1e999"), 400, "beyond what a 64-bit float holds"),
        (RAW.replace(b"1400", b"9" * 500), 400, "500 digits"),
        (RAW.replace(b"1400", b"9" * 390), 422, "/features/distance"),
        (RAW.replace(b"UA", b"\xff\xfe"), 400, "not valid UTF-8: byte 0xff"),
        (RAW.replace(b"UA", rb"\ud800"), 400, "JSON"),
        (RAW.replace(b"UA", b"\\u0000"), 422, "/features/carrier"),
        (RAW.replace(b"UA", b"\x00"), 400, "line 1"),
        (RAW.replace(b'"label"', b'"model": "flights", "label"'), 400, "'model' stands twice"),
        (RAW.replace(b'"distance"', b'"carrier" : "AA", "distance"'), 400, "'carrier' stands twice"),
        (RAW.replace(b'"label"', rb'"mod\u0065l": "flights", "label"'), 400, "'model' stands twice"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, 400, "nested deeper than 32"),
        (b"[" * 60_000, 400, "nested deeper than 32"),
        (b"[1]", 422, "feedback is an object; this is a list"),
        (b"null", 422, "feedback is an object"),
        (b'"text"', 422, "feedback is an object; this is text"),
        (RAW.decode().encode("utf-16"), 400, "not valid UTF-8"),
        (b"\xef\xbb\xbf" + RAW, 400, "line 1, column 1"),
        (b'{"comment": "' + b"x" * 10_000_000 + b'"}', 413, "65,536 bytes"),
    ],
)
async def test_a_bad_body_is_refused_with_what_is_wrong(service, raw, status, told):
    answer = await service.send(raw)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.text
    assert service.publishing.events == []


async def test_blanks_around_json_are_fine(service):
    pretty = json.dumps(example(), indent=2).replace('":', '" :').encode()
    assert (await service.send(b"\n" + pretty + b"\n")).status_code == 202


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
async def test_another_content_type_is_415(service, content_type):
    answer = await service.send(RAW, content_type)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


async def test_a_charset_of_utf8_is_taken(service):
    assert (await service.send(RAW, "application/json; charset=utf-8")).status_code == 202


async def test_a_compressed_body_is_415_and_told_to_come_plain(service):
    answer = await service.send(gzip.compress(RAW), **{"content-encoding": "gzip"})
    assert answer.status_code == 415
    assert "uncompressed" in answer.json()["detail"]


async def test_an_event_of_the_limit_is_read_and_one_byte_more_is_refused(service):
    fits = RAW + b" " * (65536 - len(RAW))
    assert (await service.send(fits)).status_code == 202
    assert (await service.send(fits + b" ")).status_code == 413


FIELDS = [
    *("kind", "event_id", "model", "prediction_id", "feedback_token", "features", "label", "rating", "comment"),
    *("user_id", "source", "occurred_at", "audited", "x"),
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["flights", "late", "example"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ANYTHING = st.one_of(
    st.binary(max_size=300),
    VALUES.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.dictionaries(st.sampled_from(FIELDS), VALUES).map(lambda value: json.dumps({**example(), **value}).encode()),
)


service = Service()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANYTHING)
def test_no_body_breaks_the_service(raw):
    async def post() -> None:
        single = await service.send(raw)
        assert single.status_code in (202, 400, 401, 404, 413, 422)
        for answer in (await service.lines(raw), await service.lines(b"[" + raw + b"]")):
            assert answer.status_code in (202, 207, 400, 413, 422)

    asyncio.run(post())
