"""Clients that ask without end while something happens to those whom they ask."""

import threading
from abc import ABC, abstractmethod
from typing import Self


class Asking(ABC):
    """So many clients, each in a thread of its own, for as long as the block lasts. `failures` says what went wrong."""

    def __init__(self, clients: int) -> None:
        self.failures: list[str] = []
        self.stopping = threading.Event()
        self._threads = [threading.Thread(target=self.ask, args=(number,)) for number in range(clients)]

    @abstractmethod
    def ask(self, number: int) -> None:
        """What client `number` does until `stopping` is set."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join()
