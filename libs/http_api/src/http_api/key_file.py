"""The file of API keys: only digests of the secrets, written atomically, readable by its owner alone."""

import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

Role = Literal["feedback:write", "predict", "read", "operate"]
ROLES: tuple[Role, ...] = get_args(Role)


class KeyFileError(ValueError):
    """A keys file that cannot be used. The text names the file and the remedy."""


class KeyEntry(BaseModel):
    """One key as it is kept: everything but its secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    note: str = ""
    created_at: datetime


class _KeyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[KeyEntry, ...] = ()


def read(path: Path) -> tuple[KeyEntry, ...]:
    """The keys in the file. Raises KeyFileError when it is missing or cannot be understood."""
    try:
        return _KeyFile.model_validate_json(path.read_bytes()).keys
    except FileNotFoundError as error:
        raise KeyFileError(
            f"{path}: there is no such keys file; `flywheel keys create` makes it, or unset API_KEYS_FILE"
        ) from error
    except OSError as error:
        raise KeyFileError(f"{path}: the keys file cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise KeyFileError(f"{path}: this is no keys file: {where} {first['msg']}") from error


def create(path: Path, roles: Sequence[Role], note: str = "") -> tuple[str, KeyEntry]:
    """Add a key with `roles` and make the file where there is none; gives the key's text, which is kept nowhere.

    Raises ValueError for a role that does not exist, KeyFileError for a file that cannot be used.
    """
    if unknown := sorted(set(roles).difference(ROLES)):
        raise ValueError(f"no such role: {', '.join(unknown)}; there are {', '.join(ROLES)}")
    if not roles:
        raise ValueError(f"a key needs at least one role of {', '.join(ROLES)}")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    entry = KeyEntry(
        id=key_id,
        sha256=digest(secret),
        roles=tuple(role for role in ROLES if role in roles),
        note=note,
        created_at=datetime.now(UTC),
    )
    with _locked(path):
        _write(path, (*(read(path) if path.exists() else ()), entry))
    return f"fw_{key_id}_{secret}", entry


def revoke(path: Path, key_id: str) -> bool:
    """Remove the key; False when there is none with this id. Services stop taking it within about a second."""
    with _locked(path):
        keys = read(path)
        left = tuple(entry for entry in keys if entry.id != key_id)
        if len(left) == len(keys):
            return False
        _write(path, left)
    return True


def digest(secret: str) -> str:
    """What is kept of a secret. It has 256 random bits, so a plain SHA-256 cannot be searched."""
    return hashlib.sha256(secret.encode()).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, keys: tuple[KeyEntry, ...]) -> None:
    text = json.dumps(_KeyFile(keys=keys).model_dump(mode="json"), indent=2) + "\n"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
