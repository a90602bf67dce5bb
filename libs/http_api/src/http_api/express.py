"""An express lane beside ASGI: requests of one hot route, answered from the protocol itself without a task.

An ASGI call costs a cycle, a task, an event and two messages, more than all that a hot route does itself. The lane
takes whole requests that are as they should be; whatever it does not take goes on through the application, which
alone refuses and explains.

What has arrived in one turn of the event loop is first read, then worked on, then answered: a processor that does one
thing many times in a row finds it in its caches, and a client that is woken once reads many answers.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from telemetry import logging

log = logging.get(__name__)
_NOBODY_WAITS = asyncio.Event()
# Whoever was read first does not wait until hundreds of others have been worked on.
_MOST_AT_ONCE = 32
Headers = list[tuple[bytes, bytes]]
Answer = Callable[[bytes, bytes], None]
Taker = Callable[[Headers, bytes, Answer], bool]


class Lane(Protocol):
    """The POSTs of one hot route, with bodies of up to `limit_bytes`."""

    limit_bytes: int

    def taker(self, url: bytes) -> Taker | None:
        """What takes requests to `url` (path and query); None where it is not the route's.

        It is called with a request's headers, its body and `answer`, and says whether it takes the request. If so,
        `answer(head, body)` is called once, now or later; `head` is the status line and the headers, each with its
        line's end.
        """


def head_of(response: Response) -> bytes:
    """The status line and the headers of a response, as a lane gives them."""
    return STATUS_LINE[response.status_code] + _lines(response.raw_headers)


def _lines(headers: Headers) -> bytes:
    return b"".join([name + b": " + value + b"\r\n" for name, value in headers])


class Turn:
    """The requests that all connections have read in this turn of the event loop, and the answers to write in it."""

    def __init__(self) -> None:
        self._rides: list[_Ride] = []
        self._answers: list[tuple[_Ride, bytes, bytes]] = []
        self._ends_soon = False

    def arrived(self, ride: "_Ride") -> None:
        """A whole request, to be worked on at the turn's end, or now where enough others wait for an answer."""
        self._rides.append(ride)
        if len(self._rides) >= _MOST_AT_ONCE:
            self.end()
        else:
            self._end_soon(ride)

    def answered(self, ride: "_Ride", head: bytes, body: bytes) -> None:
        """A whole response, to be written at the turn's end."""
        self._answers.append((ride, head, body))
        self._end_soon(ride)

    def end(self) -> None:
        """Work on what was read, then write what was answered. What goes wrong with one harms no other."""
        self._ends_soon = True  # what is answered meanwhile is written below
        rides, self._rides = self._rides, []
        for ride in rides:
            try:
                ride.go()
            except Exception:
                ride.give_up()
        answers, self._answers = self._answers, []
        for ride, head, body in answers:
            try:
                ride.write(head, body)
            except Exception:
                ride.give_up()
        self._ends_soon = False

    def _end_soon(self, ride: "_Ride") -> None:
        if not self._ends_soon:
            self._ends_soon = True
            ride.protocol.loop.call_soon(self.end)


class ExpressProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with a lane. `is_open` says whether the lane takes requests at all.

    All connections of a server share one `turn`.
    """

    def __init__(self, *args: Any, lane: Lane, is_open: Callable[[], bool], turn: Turn, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lane = lane
        self._is_open = is_open
        self.turn = turn

    def on_message_begin(self) -> None:
        """Lets a request that was read before in the same turn go first: this one takes its place in the parser."""
        if isinstance(self.cycle, _Ride) and not self.cycle.begun:
            self.turn.end()
        super().on_message_begin()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP, after whatever came before it."""
        self.turn.end()
        super().send_400_response(msg)

    def on_headers_complete(self) -> None:
        """Lets a request in that may go by the lane; only its body can tell whether it does."""
        if (
            self.parser.get_method() == b"POST"
            and (taker := self._lane.taker(self.url)) is not None
            and (self.cycle is None or self.cycle.response_complete)
            and self._is_plain()
        ):
            self.cycle = _Ride(self, taker)  # type: ignore[assignment]
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Gathers the body; one that is too long goes on through the application."""
        super().on_body(body)
        if isinstance(self.cycle, _Ride) and len(self.cycle.body) > self._lane.limit_bytes:
            self._leave_lane(self.cycle)

    def on_message_complete(self) -> None:
        """Has the whole request worked on at the end of the turn."""
        if isinstance(self.cycle, _Ride) and not self.cycle.begun:
            self.turn.arrived(self.cycle)
        else:
            super().on_message_complete()

    def go(self, ride: "_Ride") -> None:
        """Hands a whole request to the lane, else to the application."""
        if not self._takes(ride) and not ride.disconnected:
            self._leave_lane(ride)
            super().on_message_complete()

    def _takes(self, ride: "_Ride") -> bool:
        try:
            return ride.taker(self.headers, bytes(ride.body), ride.answer)
        except Exception:
            log.exception("lane_failed", path=self.url.decode("latin-1"))
            return False

    def _is_plain(self) -> bool:
        parser = self.parser
        return (
            self._is_open()
            and not self.expect_100_continue
            and not self.flow.write_paused
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
        )

    def _leave_lane(self, ride: "_Ride") -> None:
        self.cycle = None  # type: ignore[assignment]
        super().on_headers_complete()
        super().on_body(bytes(ride.body))


class _Ride:
    """One request in the lane; to the protocol it is what a request and its response are."""

    __slots__ = ("begun", "body", "disconnected", "keep_alive", "more_body", "protocol", "response_complete", "taker")
    message_event = _NOBODY_WAITS

    def __init__(self, protocol: ExpressProtocol, taker: Taker) -> None:
        self.protocol = protocol
        self.taker = taker
        self.body = bytearray()
        self.begun = self.disconnected = self.response_complete = False
        self.keep_alive = self.more_body = True

    def go(self) -> None:
        """Begin."""
        self.begun = True
        self.protocol.go(self)

    def give_up(self) -> None:
        """Close the connection, and say in the log what happened."""
        log.exception("request_failed", path=self.protocol.url.decode("latin-1"))
        self.protocol.transport.close()

    def answer(self, head: bytes, body: bytes) -> None:
        """Send the response at the end of the turn."""
        self.protocol.turn.answered(self, head, body)

    def write(self, head: bytes, body: bytes) -> None:
        """Write the response, unless the client has gone."""
        if self.disconnected:
            return
        self.response_complete = True
        protocol = self.protocol
        standing = _lines(protocol.server_state.default_headers)  # Date
        if self.keep_alive:
            protocol.transport.write(b"".join((head, standing, b"\r\n", body)))
        else:  # the server is shutting down
            protocol.transport.write(b"".join((head, standing, b"connection: close\r\n\r\n", body)))
            protocol.transport.close()
        protocol.on_response_complete()
