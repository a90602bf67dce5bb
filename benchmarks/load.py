"""A load generator for HTTP/1.1 that is lighter than the servers it measures.

Each of `connections` sends its next request as soon as the last one is answered. It runs as a process of its own
(`measure`), on raw sockets under uvloop, and looks at a response only as far as its status and length.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True)
class Load:
    """What to send. `bodies` are sent in turn; `warm_up_s` goes before the measured time."""

    url: str
    bodies: Sequence[str] = ("",)
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    connections: int = 64
    seconds: float = 3.0
    warm_up_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back within the measured time. `failed` are answers of 400 and more, and broken connections."""

    requests: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Answered requests a second."""
        return self.requests / self.seconds


def measure(load: Load) -> Outcome:
    """Send `load` from a process of its own. Raises subprocess.CalledProcessError when that fails."""
    sent = json.dumps(asdict(load))
    done = subprocess.run(
        [sys.executable, str(Path(__file__))],
        input=sent,
        capture_output=True,
        text=True,
        check=True,
        timeout=load.seconds + load.warm_up_s + 60,
    )
    return Outcome(**json.loads(done.stdout))


class _Run:
    """The state that the connections of one run share."""

    def __init__(self, requests: list[bytes]) -> None:
        self._requests = requests
        self._next = 0
        self.counting = False
        self.ended = False
        self.failed = 0
        self.latencies_s: list[float] = []

    def request(self) -> bytes:
        """The next request's bytes."""
        self._next += 1
        return self._requests[self._next % len(self._requests)]

    def answered(self, failed: bool, latency_s: float) -> None:
        """One response is complete."""
        if self.counting:
            self.latencies_s.append(latency_s)
            self.failed += failed


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._received = b""
        self._sent_at = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(_END)
        if end < 0:
            return
        at = self._received.find(_LENGTH) + len(_LENGTH)
        length = int(self._received[at : self._received.find(b"\r", at)])
        if len(self._received) < end + len(_END) + length:
            return
        self._run.answered(self._received[9:10] >= b"4", time.perf_counter() - self._sent_at)
        self._received = b""
        if not self._run.ended:
            self._send()

    def connection_lost(self, _: Exception | None) -> None:
        if not self._run.ended:
            self._run.answered(True, time.perf_counter() - self._sent_at)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._run.request())


def _requests(load: Load) -> list[bytes]:
    url = urlsplit(load.url)
    head = f"{load.method} {url.path or '/'}{'?' + url.query if url.query else ''} HTTP/1.1\r\nhost: {url.netloc}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in load.headers.items())
    encoded = [body.encode() for body in load.bodies]
    return [f"{head}content-length: {len(body)}\r\n\r\n".encode() + body for body in encoded]


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


async def _send(load: Load) -> Outcome:
    host, port = _address(load.url)
    run = _Run(_requests(load))
    loop = asyncio.get_running_loop()
    connections = [await loop.create_connection(lambda: _Connection(run), host, port) for _ in range(load.connections)]
    await asyncio.sleep(load.warm_up_s)
    run.counting, begun = True, time.perf_counter()
    await asyncio.sleep(load.seconds)
    run.counting, run.ended = False, True
    seconds = time.perf_counter() - begun
    for transport, _ in connections:
        transport.abort()
    latencies = sorted(run.latencies_s) or [0.0]
    count = len(run.latencies_s)
    return Outcome(
        requests=count - run.failed,
        failed=run.failed,
        seconds=seconds,
        p50_ms=latencies[count // 2] * 1000,
        p99_ms=latencies[min(count * 99 // 100, len(latencies) - 1)] * 1000,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(_send(Load(**json.load(sys.stdin)))))))
