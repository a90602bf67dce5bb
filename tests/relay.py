"""A place between a client and a server, where connections can be led elsewhere, counted and cut."""

import socket
import threading
from collections import Counter
from contextlib import suppress


class Relay:
    """Hands each connection on to `upstream` (host:port) as it is when the connection comes, and leaves it there.

    `open` counts the connections of each upstream; where the relay is `shut`, none is taken on.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.shut = False
        self.open = Counter[str]()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Shut, and cut what is open."""
        self.shut = True
        with self._lock:
            for one in self._sockets:
                _cut(one)

    def _accept(self) -> None:
        while True:
            client, _ = self._listening.accept()
            if self.shut:
                client.close()
                continue
            threading.Thread(target=self._hand_on, args=(client, self.upstream), daemon=True).start()

    def _hand_on(self, client: socket.socket, upstream: str) -> None:
        host, _, port = upstream.partition(":")
        with client, socket.create_connection((host, int(port))) as server:
            with self._lock:
                self._sockets |= {client, server}
                self.open[upstream] += 1
            answers = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            answers.start()
            self._copy(client, server)
            answers.join()
            with self._lock:
                self._sockets -= {client, server}
                self.open[upstream] -= 1

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while (received := one.recv(65536)) and not self.shut:
                other.sendall(received)
        _cut(one)
        _cut(other)


def _cut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
