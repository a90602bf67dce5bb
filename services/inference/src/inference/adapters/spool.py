"""Records kept on disk, in order, while Kafka is away.

Segments `spool-<number>.bin` hold records one after the other: length, CRC-32, then MessagePack of [key, value,
headers]. A write reaches the operating system before `append` returns (a killed process loses nothing of it); the
disk is forced to keep it (fsync) once a segment is full, so a machine that loses power may lose up to one segment.
"""

import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from kafka_runtime.record import Headers

_HEAD = struct.Struct("<II")
_SEGMENT_BYTES = 8 * 1024 * 1024


class Record(NamedTuple):
    """One record for Kafka."""

    key: bytes
    value: bytes
    headers: Headers


class SpoolFull(Exception):
    """There is no room; `lost` records were not kept."""

    def __init__(self, lost: int) -> None:
        super().__init__(f"the spool is full; {lost} records were not kept")
        self.lost = lost


class Spool:
    """A bounded queue in files. Used by one thread. What an earlier process left is found again."""

    def __init__(self, folder: Path, limit_bytes: int, segment_bytes: int = _SEGMENT_BYTES) -> None:
        """Raises OSError when `folder` cannot be made or read."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._segment_bytes = segment_bytes
        self._encoder, self._decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Record)
        self._segments = sorted(folder.glob("spool-*.bin"))
        self._bytes = sum(segment.stat().st_size for segment in self._segments)
        self._writing: BinaryIO | None = None
        self._read_to = 0

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return self._bytes

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._segments

    def append(self, records: Iterable[Record]) -> int:
        """Keep records at the end; how many were kept.

        Raises SpoolFull when the limit is reached (the first ones are kept), OSError when the disk fails.
        """
        waiting = list(records)
        for position, record in enumerate(waiting):
            body = self._encoder.encode(record)
            if self._bytes + len(body) + _HEAD.size > self._limit_bytes:
                self._hand_over()
                raise SpoolFull(len(waiting) - position)
            self._file().write(_HEAD.pack(len(body), zlib.crc32(body)) + body)
            self._bytes += len(body) + _HEAD.size
        self._hand_over()
        return len(waiting)

    def peek(self, count: int) -> list[Record]:
        """The first up to `count` records, which stay until `drop`; never from two segments."""
        while self._segments:
            found = self._read(count)
            if found:
                return found
            self._remove_first()
        return []

    def drop(self, records: list[Record]) -> None:
        """Remove what `peek` has just given."""
        self._read_to += sum(_HEAD.size + len(self._encoder.encode(record)) for record in records)
        first = self._segments[0]
        if self._read_to >= first.stat().st_size:
            self._remove_first()

    def close(self) -> None:
        """Force what was written to disk. A later start begins with the first segment that was not emptied."""
        self._seal()

    def _read(self, count: int) -> list[Record]:
        found: list[Record] = []
        with self._segments[0].open("rb") as file:
            file.seek(self._read_to)
            while len(found) < count:
                head = file.read(_HEAD.size)
                if len(head) < _HEAD.size:
                    break
                length, checksum = _HEAD.unpack(head)
                body = file.read(length)
                if len(body) < length or zlib.crc32(body) != checksum:
                    break  # torn by a crash: what follows was never handed over
                found.append(self._decoder.decode(body))
        return found

    def _file(self) -> BinaryIO:
        if self._writing is not None and self._writing.tell() >= self._segment_bytes:
            self._seal()
        if self._writing is None:
            last = int(self._segments[-1].stem.removeprefix("spool-")) if self._segments else 0
            path = self._folder / f"spool-{last + 1:08d}.bin"
            self._writing = path.open("xb")
            self._segments.append(path)
        return self._writing

    def _hand_over(self) -> None:
        if self._writing is not None:
            self._writing.flush()

    def _seal(self) -> None:
        if self._writing is not None:
            self._writing.flush()
            os.fsync(self._writing.fileno())
            self._writing.close()
            self._writing = None

    def _remove_first(self) -> None:
        if len(self._segments) == 1:
            self._seal()
        first = self._segments.pop(0)
        self._bytes -= first.stat().st_size
        self._read_to = 0
        first.unlink()
