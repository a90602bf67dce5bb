"""A request's headers as ASGI and the express lane hand them over: bytes, with names in lower case."""

from collections.abc import Mapping

Head = Mapping[bytes, bytes]


def text(head: Head, name: bytes) -> str | None:
    """A header's value; None where it was not sent."""
    value = head.get(name)
    return None if value is None else value.decode("latin-1")


def credentials(head: Head) -> str | None:
    """What the client says to prove who it is, for `ApiKeys.authenticate_text`."""
    return text(head, b"authorization") or text(head, b"x-api-key")
