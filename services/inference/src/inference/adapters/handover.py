"""What the service and its courier say to each other.

Parcels go as files in memory whose descriptors are sent over a socket: a socket itself takes some 200 kB, and an event
loop that is busy answering comes round to filling it again only some 20 times a second. What the courier tells comes
back over a pipe, each message as a length of four bytes and as many bytes.
"""

import asyncio
import os
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence

import msgspec

_LENGTH = struct.Struct("<I")


class Told(msgspec.Struct, omit_defaults=True):
    """What a courier says of what it was given.

    `settled` are parcels of which every record is acknowledged, on disk or given up; the counts are of records since
    the last message.
    """

    settled: list[int] = []
    published: int = 0
    spooled: int = 0
    spool_bytes: int = 0
    dropped: dict[str, int] = {}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Told).decode


def hand_over(connection: socket.socket, parcels: Sequence[bytes]) -> None:
    """Send up to 500 parcels. Raises OSError: BlockingIOError when too many wait there, others when nobody is there."""
    with os.fdopen(_file_in_memory(), "wb", buffering=0) as file:
        os.writev(file.fileno(), [part for parcel in parcels for part in (_LENGTH.pack(len(parcel)), parcel)])
        socket.send_fds(connection, [b"."], [file.fileno()])


def handed_over(connection: socket.socket) -> list[memoryview] | None:
    """Parcels that have come; None when the other side has ended. For a socket that is ready to be read."""
    said, files, _, _ = socket.recv_fds(connection, 1, 1)
    if not said:
        return None
    return [parcel for file in files for parcel in _parcels_in(file)]


def told(message: Told) -> bytes:
    """The message as it goes through the pipe."""
    encoded = _encode(message)
    return _LENGTH.pack(len(encoded)) + encoded


async def hears(pipe: asyncio.StreamReader) -> AsyncIterator[Told]:
    """Each message, until the other side ends or dies; one that is cut off is passed over."""
    try:
        while True:
            (length,) = _LENGTH.unpack(await pipe.readexactly(_LENGTH.size))
            yield _decode(await pipe.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return


def _file_in_memory() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("predictions")
    with tempfile.TemporaryFile() as file:  # systems other than Linux
        return os.dup(file.fileno())


def _parcels_in(file: int) -> Iterator[memoryview]:
    with os.fdopen(file, "rb", buffering=0) as opened:
        content = memoryview(os.pread(opened.fileno(), os.fstat(opened.fileno()).st_size, 0))
    at = 0
    while at < len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size + length
        yield content[at - length : at]
