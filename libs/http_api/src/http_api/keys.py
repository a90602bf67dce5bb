"""API keys: who a request comes from, and what that principal may do."""

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from starlette.requests import Request

from http_api.key_file import ROLES, KeyEntry, KeyFileError, Role, create, digest, revoke
from http_api.key_file import read as list
from http_api.problems import Problem, ProblemError
from telemetry import logging

__all__ = [
    "ROLES",
    "ApiKeys",
    "KeyEntry",
    "KeyFileError",
    "Principal",
    "Role",
    "bind_host",
    "create",
    "list",
    "require",
    "revoke",
]

_CHECK_EVERY_S = 1.0
_MAX_REMEMBERED = 10_000
log = logging.get(__name__)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `key_id` is None for anybody, where no keys are in use."""

    key_id: str | None
    roles: frozenset[str]

    def require(self, *one_of: Role) -> None:
        """Raises ProblemError 403 unless the principal has a role of `one_of`."""
        if self.roles.isdisjoint(one_of):
            has = ", ".join(sorted(self.roles))
            wanted = " or ".join(one_of)
            detail = f"This key lacks the role {wanted} (it has {has}); `flywheel keys create` makes one that has it."
            raise ProblemError(Problem(403, "Forbidden", detail))


ANYBODY = Principal(None, frozenset(ROLES))


class ApiKeys:
    """The keys in force. The file is read again when it changes, looked at no more than once a second."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises KeyFileError when `path` is given and cannot be used; None lets anybody do anything."""
        self._path = path
        self._clock = clock
        self._entries: dict[str, KeyEntry] = {}
        self._verified: dict[bytes, Principal] = {}
        self._stamp: tuple[int, int] | None = None
        self._look_again_at = clock() + _CHECK_EVERY_S
        if path is not None:
            self._take(path)

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """The keys in the file at `path`; with None everybody is an anonymous principal with every role."""
        return cls(path)

    @property
    def in_use(self) -> bool:
        """Whether a key is asked for at all."""
        return self._path is not None

    def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """Who sent `headers` (case-insensitive, as a request's). Raises ProblemError 401 for no key or a wrong one."""
        if self._path is None:
            return ANYBODY
        bearer = headers.get("authorization")
        return self.authenticate_text(bearer if bearer is not None else headers.get("x-api-key"))

    def authenticate_text(self, credentials: str | None) -> Principal:
        """As `authenticate`, from the value of Authorization or X-API-Key."""
        if self._path is None:
            return ANYBODY
        if self._clock() >= self._look_again_at:
            self._look_again()
        if not credentials:
            raise ProblemError(_unauthorized("An API key is missing; send Authorization: Bearer fw_…, or X-API-Key."))
        remembered = hashlib.sha256(credentials.encode("utf-8", "surrogateescape")).digest()
        principal = self._verified.get(remembered)
        if principal is None:
            principal = self._verify(credentials)
            if len(self._verified) < _MAX_REMEMBERED:
                self._verified[remembered] = principal
        return principal

    def _verify(self, credentials: str) -> Principal:
        scheme, _, rest = credentials.partition(" ")
        text = rest.strip() if scheme.lower() == "bearer" else credentials.strip()
        prefix, _, body = text.partition("_")
        key_id, _, secret = body.partition("_")
        entry = self._entries.get(key_id)
        expected = entry.sha256 if entry else "0" * 64
        if not hmac.compare_digest(digest(secret), expected) or entry is None or prefix != "fw":
            raise ProblemError(_unauthorized("The API key is not valid, or was revoked; ask for a new one."))
        return Principal(entry.id, frozenset(entry.roles))

    def _look_again(self) -> None:
        self._look_again_at = self._clock() + _CHECK_EVERY_S
        assert self._path is not None  # noqa: S101 - only called where a file is in use
        try:
            if _stamp(self._path) != self._stamp:
                self._take(self._path)
                log.info("api_keys_read", path=str(self._path), keys=len(self._entries))
        except (OSError, KeyFileError) as error:
            # A half-made edit must not lock everybody out; the keys last read stay in force.
            log.error("api_keys_unreadable", reason=str(error), remedy="mend the file; the keys last read stay valid")

    def _take(self, path: Path) -> None:
        entries = {entry.id: entry for entry in list(path)}
        self._stamp = _stamp(path)
        self._entries = entries
        self._verified = {}


def require(*one_of: Role) -> Callable[[Request], Principal]:
    """A FastAPI dependency: the request's principal, who has a role of `one_of`. The keys are `app.state.api_keys`."""

    def principal(request: Request) -> Principal:
        keys: ApiKeys = request.app.state.api_keys
        found = keys.authenticate(request.headers)
        found.require(*one_of)
        return found

    return principal


def bind_host(path: Path | None) -> str:
    """The address to listen on: everywhere with keys, this machine alone without."""
    return "127.0.0.1" if path is None else "0.0.0.0"


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino


def _unauthorized(detail: str) -> Problem:
    return Problem(401, "Unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="flywheel"'})
