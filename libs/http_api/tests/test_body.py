import asyncio

import pytest
from starlette.requests import Request

from http_api import body
from http_api.problems import ProblemError


def request(*chunks: bytes, headers: dict[str, str] | None = None, endless: bool = False) -> Request:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if not endless:
        messages[-1]["more_body"] = False
    received = []

    async def receive():
        received.append(1)
        if messages:
            return messages.pop(0)
        if endless:
            return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}
        return {"type": "http.disconnect"}

    raw = [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
    made = Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)
    made.state.received = received
    return made


async def status_of(awaitable) -> int:
    with pytest.raises(ProblemError) as caught:
        await awaitable
    return caught.value.problem.status


async def test_a_body_comes_whole_from_its_chunks():
    assert await body.read(request(b"ab", b"", b"cd"), 4) == b"abcd"


async def test_a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_refused():
    assert await body.read(request(b"abcd"), 4) == b"abcd"
    assert await status_of(body.read(request(b"abcde"), 4)) == 413
    assert await status_of(body.read(request(b"abc", b"de"), 4)) == 413


async def test_a_declared_length_over_the_limit_is_swallowed_and_refused():
    sent = request(b"abc", b"de", headers={"content-length": "5"})
    assert await status_of(body.read(sent, 4)) == 413
    assert len(sent.state.received) == 2


async def test_a_client_that_waits_for_100_continue_is_refused_before_it_sends():
    sent = request(b"abcde", headers={"content-length": "5", "expect": "100-continue"})
    assert await status_of(body.read(sent, 4)) == 413
    assert sent.state.received == []


async def test_an_endless_body_is_cut_off():
    sent = request(b"abcde", endless=True)
    async with asyncio.timeout(5):
        assert await status_of(body.read(sent, 4)) == 413
    assert len(sent.state.received) < 1000


async def test_a_refusal_for_length_ends_the_connection():
    assert body.too_large(4).headers["Connection"] == "close"


async def test_a_body_that_breaks_off_is_400():
    gone = request(b"ab", b"cd")

    messages = iter([{"type": "http.request", "body": b"ab", "more_body": True}])

    async def receive():
        return next(messages, {"type": "http.disconnect"})

    gone._receive = receive
    assert await status_of(body.read(gone, 100)) == 400


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=UTF-8", 'application/json; charset="utf-8"']
)
def test_json_in_utf8_is_taken(content_type):
    body.require_json(request(b"", headers={"content-type": content_type}))


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, "is missing"),
        ({"content-type": "text/plain"}, "text/plain"),
        ({"content-type": "application/json; charset=utf-16"}, "utf-16"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "gzip"),
    ],
)
def test_another_type_charset_or_encoding_is_415_and_named(headers, told):
    with pytest.raises(ProblemError) as caught:
        body.require_json(request(b"", headers=headers))
    assert caught.value.problem.status == 415
    assert told in caught.value.problem.detail
