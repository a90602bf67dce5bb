"""Request bodies: of the right type, within their limit, read without keeping what is over it."""

import asyncio
from collections.abc import Collection

from starlette.requests import Request
from starlette.types import Receive

from http_api.problems import Problem, ProblemError

# A client that is still sending does not read. What is a little over the limit is therefore
# swallowed (not kept) before the refusal; an endless body is cut off.
_SWALLOW_BYTES = 16 * 1024 * 1024
_SWALLOW_S = 2.0

JSON = "application/json"


def require_json(request: Request) -> None:
    """Raises ProblemError 415 unless the body is uncompressed JSON in UTF-8."""
    require_media_type(request, (JSON,))


def require_media_type(request: Request, allowed: Collection[str]) -> str:
    """The body's media type. Raises ProblemError 415 unless it is one of `allowed`, uncompressed and in UTF-8."""
    return check_media_type(request.headers.get("content-type"), request.headers.get("content-encoding"), allowed)


def check_media_type(content_type: str | None, content_encoding: str | None, allowed: Collection[str]) -> str:
    """As `require_media_type`, from the two headers' values."""
    if content_encoding and content_encoding.strip().lower() != "identity":
        raise ProblemError(
            _unsupported(
                f"The body is encoded as {content_encoding!r}; send it uncompressed, without Content-Encoding."
            )
        )
    media_type, _, parameters = (content_type or "").partition(";")
    media_type = media_type.strip().lower()
    if media_type not in allowed:
        found = f"is {media_type!r}" if media_type else "is missing"
        raise ProblemError(_unsupported(f"The Content-Type {found}; send {' or '.join(allowed)}."))
    name, _, charset = parameters.strip().lower().partition("=")
    if name == "charset" and charset.strip('" ') not in {"utf-8", "utf8", "us-ascii"}:
        raise ProblemError(_unsupported(f"The charset is {charset!r}; JSON is sent in UTF-8."))
    return media_type


async def read(request: Request, limit_bytes: int) -> bytes:
    """The body. Raises ProblemError 413 when it is longer than `limit_bytes`, 400 when the client broke off."""
    headers = request.headers
    declared = headers.get("content-length")
    return await receive_all(
        request.receive, limit_bytes, declared.encode() if declared is not None else None, "expect" in headers
    )


async def receive_all(
    receive: Receive, limit_bytes: int, content_length: bytes | None = None, expects_continue: bool = False
) -> bytes:
    """As `read`, from the bare ASGI `receive` and the values of two headers."""
    if content_length is not None and content_length.isdigit() and int(content_length) > limit_bytes:
        if not expects_continue:
            await _swallow(receive)
        raise ProblemError(too_large(limit_bytes))
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body") or message["type"] != "http.request":
        body = await _rest(receive, body, limit_bytes, message["type"] == "http.disconnect")
    if len(body) > limit_bytes:
        raise ProblemError(too_large(limit_bytes))
    return body


def too_large(limit_bytes: int) -> Problem:
    """The refusal of a body longer than `limit_bytes`; the connection ends with it."""
    detail = f"The body is longer than {limit_bytes:,} bytes; send less at a time."
    return Problem(413, "Content Too Large", detail, headers={"Connection": "close"})


async def _rest(receive: Receive, first: bytes, limit_bytes: int, gone: bool) -> bytes:
    parts, size, more = [first], len(first), not gone
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            gone = True
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > limit_bytes:
            if more:
                await _swallow(receive)
            raise ProblemError(too_large(limit_bytes))
    if gone:
        raise ProblemError(Problem(400, "Bad Request", "The connection ended before the body was complete."))
    return b"".join(parts)


async def _swallow(receive: Receive) -> None:
    size = 0
    try:
        async with asyncio.timeout(_SWALLOW_S):
            while size <= _SWALLOW_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _unsupported(detail: str) -> Problem:
    return Problem(415, "Unsupported Media Type", detail)
