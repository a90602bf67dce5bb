import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import uvicorn

from http_api import server
from http_api.express import ExpressProtocol, Turn

HEAD = b"HTTP/1.1 202 Accepted\r\ncontent-length: 4\r\n"
LIMIT = 2000


class Lane:
    """Takes bodies that begin with `lane`; those with `later` are answered when the test says so."""

    limit_bytes = LIMIT

    def __init__(self) -> None:
        self.waiting = asyncio.Queue()
        self.done = []

    def taker(self, url):
        return self.take if url == b"/hot" else None

    def take(self, headers, body, answer):
        if body.startswith(b"error"):
            raise RuntimeError("a mistake of the lane")
        if not body.startswith(b"lane"):
            return False
        self.done.append("worked on")
        if b"later" in body:
            self.waiting.put_nowait(answer)
        else:
            answer(HEAD, b"lane")
        return True


async def application(scope, receive, send):
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    text = b"app %s %d" % (scope["path"].encode(), len(body))
    headers = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


class Watched(ExpressProtocol):
    def __init__(self, done, **given):
        super().__init__(**given)
        self.lost = asyncio.Event()
        self.done = done

    def go(self, ride):
        if ride.body == b"lane broken":
            raise RuntimeError("a mistake of the protocol")
        super().go(ride)

    def on_response_complete(self):
        super().on_response_complete()
        self.done.append("answered")

    def connection_lost(self, exc):
        super().connection_lost(exc)
        self.lost.set()


class Served:
    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.open = True
        self.turn = Turn()
        self.done = self.lane.done
        self.port = 0
        self.protocols = []

    def protocol(self, **given):
        made = Watched(lane=self.lane, is_open=lambda: self.open, turn=self.turn, done=self.done, **given)
        self.protocols.append(made)
        return made

    async def ask(self, *parts: bytes, answers: int = 1) -> list[bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.01)
        found = [await answer_of(reader) for _ in range(answers)]
        writer.close()
        return found


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


def request(body: bytes, target: str = "/hot", method: str = "POST", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"{method} {target} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{lines}\r\n".encode() + body


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    served = Served(Lane())
    config = server.configuration(application)
    config.lifespan = "off"
    config.http = partial(served.protocol)
    running = uvicorn.Server(config)
    taken = server.listen("127.0.0.1", 0)
    taken.listen()
    config.load()
    running.lifespan = config.lifespan_class(config)
    await running.startup(sockets=[taken])
    await running.on_tick(0)  # the Date
    served.port = taken.getsockname()[1]
    try:
        yield served
    finally:
        running.force_exit = True
        await running.shutdown(sockets=[taken])


async def test_what_the_lane_takes_does_not_reach_the_application():
    async with serving() as served:
        [answer] = await served.ask(request(b"lane"))
    assert answer.startswith(HEAD)
    assert answer.endswith(b"\r\n\r\nlane")
    assert b"\r\ndate: " in answer


@pytest.mark.parametrize(
    "sent",
    [
        request(b"else"),
        request(b"error"),
        request(b"lane", target="/hot?query"),
        request(b"lane", target="/cold"),
        request(b"lane", method="PUT"),
        request(b"lane", expect="100-continue"),
        request(b"lane", connection="close"),
        request(b"lane").replace(b"HTTP/1.1", b"HTTP/1.0"),
        request(b"lane" + b"x" * LIMIT),
    ],
    ids=["not taken", "failed", "query", "path", "method", "expect", "close", "old", "too long"],
)
async def test_what_it_does_not_take_reaches_the_application_whole(sent):
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(sent)
        answer = await answer_or_interim(reader)
        writer.close()
    body = sent.split(b"\r\n\r\n", 1)[1]
    assert answer.split(b"\r\n\r\n")[-1].endswith(b" %d" % len(body))
    assert b"app /" in answer


async def answer_or_interim(reader: asyncio.StreamReader) -> bytes:
    first = await reader.readuntil(b"\r\n\r\n")
    if first.startswith(b"HTTP/1.1 100"):
        return await answer_of(reader)
    length = int(first.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return first + await reader.readexactly(length)


async def test_a_body_in_pieces_is_one_body():
    whole = request(b"lane" + b"x" * 1000)
    async with serving() as served:
        [by_lane] = await served.ask(whole[:30], whole[30:200], whole[200:])
        long = request(b"lane" + b"x" * 3 * LIMIT)
        [by_app] = await served.ask(long[:500], long[500:4000], long[4000:])
    assert by_lane.endswith(b"lane")
    assert by_app.endswith(b"app /hot %d" % (4 + 3 * LIMIT))


async def test_pipelined_requests_are_answered_in_their_order():
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request(b"lane later") + request(b"else") + request(b"lane"))
        (await served.lane.waiting.get())(HEAD, b"slow")
        answers = [await answer_of(reader) for _ in range(3)]
        writer.close()
    # A pipelined request waits in the application's queue, so the third is no longer the lane's.
    assert [answer.rsplit(b"\r\n\r\n", 1)[1] for answer in answers] == [b"slow", b"app /hot 4", b"app /hot 4"]


async def test_a_request_that_the_lane_does_not_take_goes_on_though_others_came_with_it():
    async with serving() as served:
        answers = await served.ask(request(b"else") + request(b"lane") + request(b"lane!"), answers=3)
    assert [answer.rsplit(b"\r\n\r\n", 1)[1] for answer in answers] == [
        b"app /hot 4",
        b"app /hot 4",
        b"app /hot 5",
    ]


async def test_what_came_before_something_that_is_no_request_is_answered_before_it():
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request(b"lane") + b"\x00 no HTTP\r\n\r\n")
        told = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert told.startswith(HEAD)
    assert told.index(b"\r\n\r\nlane") < told.index(b"HTTP/1.1 400")


async def test_what_one_turn_reads_is_worked_on_together_and_answered_together():
    async with serving() as served:
        clients = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(3)]
        await served.ask(request(b"lane"))  # a later connection: those before it have been accepted
        served.done.clear()
        for _, writer in clients:
            writer.write(request(b"lane"))  # the same loop reads them, once this has been said to all
        for reader, writer in clients:
            await answer_of(reader)
            writer.close()
    assert served.done == ["worked on"] * 3 + ["answered"] * 3


async def test_of_many_the_first_are_answered_before_the_last_are_worked_on():
    async with serving() as served:
        clients = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(40)]
        await served.ask(request(b"lane"))
        served.done.clear()
        for _, writer in clients:
            writer.write(request(b"lane"))
        for reader, writer in clients:
            await answer_of(reader)
            writer.close()
    assert served.done == ["worked on"] * 32 + ["answered"] * 32 + ["worked on"] * 8 + ["answered"] * 8


async def test_a_request_that_fails_badly_harms_none_that_came_with_it():
    async with serving() as served:
        clients = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(3)]
        await served.ask(request(b"lane"))
        for (_, writer), body in zip(clients, (b"lane", b"lane broken", b"lane"), strict=True):
            writer.write(request(body))
        told = [await asyncio.wait_for(reader.read(len(HEAD)), 5) for reader, _ in clients]
        for _, writer in clients:
            writer.close()
    assert told == [HEAD, b"", HEAD]


async def test_a_kept_connection_serves_lane_and_application_in_turn():
    async with serving() as served:
        sent = [request(b"lane"), request(b"else"), request(b"lane"), request(b"error"), request(b"lane")]
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        found = []
        for each in sent:
            writer.write(each)
            found.append((await answer_of(reader))[-4:])
        writer.close()
    assert found == [b"lane", b"ot 4", b"lane", b"ot 5", b"lane"]


async def test_an_answer_to_a_client_that_has_gone_harms_nobody():
    async with serving() as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request(b"lane later"))
        answer = await served.lane.waiting.get()
        writer.transport.abort()
        await served.protocols[-1].lost.wait()
        answer(HEAD, b"late")
        [answer] = await served.ask(request(b"lane"))
    assert answer.endswith(b"lane")


async def test_a_closed_lane_leaves_all_to_the_application():
    async with serving() as served:
        served.open = False
        [answer] = await served.ask(request(b"lane"))
    assert answer.endswith(b"app /hot 4")


async def test_a_request_under_way_at_shutdown_is_answered_and_its_connection_closed():
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request(b"lane later"))
        finish = await served.lane.waiting.get()
        served.protocols[-1].shutdown()
        finish(HEAD, b"last")
        answer = await answer_of(reader)
        assert await reader.read() == b""
        writer.close()
    assert b"connection: close" in answer
    assert answer.endswith(b"last")
