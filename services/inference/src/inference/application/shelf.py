"""Loaded versions that serve nobody: ready for a rollback, or for somebody who asks for one by name."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

from inference.application.bring import World, bring
from inference.application.ports import ModelRefused
from inference.application.served import ServedModel


class Shelf:
    """Keeps what was used last, as long as it and what serves fit into `limit_bytes`. Safe to share among threads.

    What serves is never unloaded, even where it alone is larger than the limit.
    """

    def __init__(self, limit_bytes: int, serving_bytes: Callable[[], int] = lambda: 0) -> None:
        self._limit_bytes = limit_bytes
        self._serving_bytes = serving_bytes
        self._kept: OrderedDict[tuple[str, str], ServedModel] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """What the kept versions take."""
        with self._lock:
            return self._size()

    def find(self, model: str, version: str, sha256: str | None = None) -> ServedModel | None:
        """A kept version (of these very files, where `sha256` is given); it counts as used."""
        with self._lock:
            served = self._kept.get((model, version))
            if served is None or sha256 not in (None, served.artifact.sha256):
                return None
            self._kept.move_to_end((model, version))
            return served

    def put(self, served: ServedModel) -> None:
        """Keep a version, and let go of those that were used longest ago until the rest fits."""
        with self._lock:
            self._kept[served.name, served.version] = served
            self._kept.move_to_end((served.name, served.version))
            self._trim()

    def trim(self) -> None:
        """Let go of what no longer fits, after what serves has grown."""
        with self._lock:
            self._trim()

    def _trim(self) -> None:
        room = self._limit_bytes - self._serving_bytes()
        while self._kept and self._size() > room:
            self._kept.popitem(last=False)

    def _size(self) -> int:
        return sum(served.booster.size_bytes for served in self._kept.values())


class OnDemand:
    """Loads versions that somebody asks for by name. Safe to share among threads; one is loaded at a time."""

    def __init__(self, world: World, shelf: Shelf, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._world = world
        self._shelf = shelf
        self._now = now
        self._loading = threading.Lock()

    def get(self, model: str, version: str) -> ServedModel:
        """The version, from memory, from its copy on disk or from where it is stored.

        Raises ModelRefused (`missing` when there is none), or SourceUnavailable.
        """
        if not (version.isascii() and version.isdigit()):
            raise ModelRefused("missing", f"{model} has no version {version!r}; a version is a number")
        with self._loading:
            kept = self._shelf.find(model, version)
            if kept is not None:
                return kept
            artifact = self._world.copies.find(model, version) or self._world.champions.find(model, version)
            served = bring(self._world, artifact, self._now())
            self._shelf.put(served)
            return served
