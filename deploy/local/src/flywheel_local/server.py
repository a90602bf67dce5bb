"""What the stack needs to know of anything it starts."""

import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Server(Protocol):
    """One process of the stack. `ports` maps the variable that chooses a port to the port chosen."""

    @property
    def name(self) -> str:
        """Name of the process, of its pid file and its log."""

    @property
    def ports(self) -> Mapping[str, int]:
        """Variable that chooses it, port."""

    @property
    def patience_s(self) -> float:
        """How long it may take to end by itself."""

    def prepare(self) -> None:
        """What is done once before it starts; a second time does nothing. Raises InstallFailed."""

    def command(self) -> list[str]:
        """The command line."""

    def environment(self) -> Mapping[str, str]:
        """What its own process needs beside the stack's environment."""

    def problem(self) -> str | None:
        """Why it is not ready; None once it does its work."""


def http_problem(url: str, *, timeout_s: float = 5.0) -> str | None:
    """None when the URL answers 200; else what it says, or that nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 (our own loopback address)
            return None if answer.status == 200 else f"{url} answers {answer.status}"
    except urllib.error.HTTPError as exc:
        return f"{url} answers {exc.code}: {exc.read(2000).decode(errors='replace')}"
    except OSError as exc:
        return f"{url} does not answer ({exc})"


def repository() -> Path:
    """The checkout that this module lies in."""
    return Path(__file__).resolve().parents[4]
