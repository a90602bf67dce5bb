"""Objects beside the tables: specs, the trigger log, pinned training sets."""

import builtins
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from typing_extensions import override

from lake.errors import AccessDenied, LakeUnavailable
from lake.settings import LakeSettings

_PIECE_BYTES = 1 << 20
_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
_TAKEN = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
_DENIED = frozenset({"AccessDenied", "403", "NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


class Objects(Protocol):
    """Objects by key, relative to LAKE_URI. Safe to use from several threads.

    Every method raises LakeUnavailable when the store is away and AccessDenied when it refuses us.
    """

    def uri(self, key: str) -> str:
        """The full address of `key`."""

    def put(self, key: str, content: bytes) -> None:
        """Store `content`, in place of what was there."""

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """Store `content` unless `key` exists; whether this call stored it. Of racing calls one wins."""

    def upload_if_absent(self, key: str, source: Path) -> bool:
        """`put_if_absent` with a file's bytes, which may be large (to 5 GB)."""

    def get(self, key: str) -> bytes | None:
        """The content, or None where there is no such key."""

    def download(self, key: str, target: Path) -> bool:
        """Write the content to the file `target`, in pieces; whether there is such a key."""

    def size(self, key: str) -> int | None:
        """The content's length in bytes, or None where there is no such key."""

    def age_s(self, key: str) -> float | None:
        """Seconds since the object was last written, by the store's own clock; None where there is no such key.

        S3 counts whole seconds.
        """

    def list(self, prefix: str) -> builtins.list[str]:
        """All keys that begin with `prefix`, sorted."""

    def folders(self) -> builtins.list[str]:
        """The names of the folders directly below LAKE_URI, sorted."""

    def delete(self, key: str) -> None:
        """Remove the object, if it is there."""

    def ensure_bucket(self) -> None:
        """Create the bucket (or folder) of LAKE_URI unless it is there."""


def connect(settings: LakeSettings) -> Objects:
    """The objects of the lake, in S3 or in a folder."""
    return S3Objects(settings) if settings.is_s3 else FolderObjects(Path(settings.prefix))


class S3Objects(Objects):
    """Objects in S3; absence is proved by a conditional put (If-None-Match)."""

    def __init__(self, settings: LakeSettings) -> None:
        self._settings = settings
        self._client: Any = settings.boto3_client()
        self._bucket = settings.bucket

    @override
    def uri(self, key: str) -> str:
        return f"{self._settings.uri}/{key}"

    @override
    def put(self, key: str, content: bytes) -> None:
        with self._reaching(key):
            self._client.put_object(Bucket=self._bucket, Key=self._full(key), Body=content)

    @override
    def put_if_absent(self, key: str, content: bytes) -> bool:
        return self._put_new(key, content)

    @override
    def upload_if_absent(self, key: str, source: Path) -> bool:
        with source.open("rb") as body:
            return self._put_new(key, body)

    @override
    def get(self, key: str) -> bytes | None:
        with self._reaching(key):
            try:
                return bytes(self._client.get_object(Bucket=self._bucket, Key=self._full(key))["Body"].read())
            except ClientError as exc:
                if _code(exc) in _ABSENT:
                    return None
                raise

    @override
    def download(self, key: str, target: Path) -> bool:
        with self._reaching(key):
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=self._full(key))["Body"]
            except ClientError as exc:
                if _code(exc) in _ABSENT:
                    return False
                raise
            with target.open("wb") as file:
                for piece in body.iter_chunks(_PIECE_BYTES):
                    file.write(piece)
        return True

    @override
    def size(self, key: str) -> int | None:
        head = self._head(key)
        return None if head is None else int(head["ContentLength"])

    @override
    def age_s(self, key: str) -> float | None:
        head = self._head(key)
        if head is None:
            return None
        now = parsedate_to_datetime(head["ResponseMetadata"]["HTTPHeaders"]["date"])
        return max(0.0, float((now - head["LastModified"]).total_seconds()))

    @override
    def list(self, prefix: str) -> builtins.list[str]:
        cut = len(self._full(""))
        with self._reaching(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._full(prefix)
            )
            return sorted(entry["Key"][cut:] for page in pages for entry in page.get("Contents", []))

    @override
    def folders(self) -> builtins.list[str]:
        root = self._full("")
        with self._reaching(root):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=root, Delimiter="/"
            )
            return sorted(
                entry["Prefix"][len(root) :].rstrip("/") for page in pages for entry in page.get("CommonPrefixes", [])
            )

    @override
    def delete(self, key: str) -> None:
        with self._reaching(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._full(key))

    @override
    def ensure_bucket(self) -> None:
        with self._reaching(self._bucket):
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except ClientError as exc:
                if _code(exc) not in _ABSENT | {"NoSuchBucket"}:
                    raise
                self._client.create_bucket(Bucket=self._bucket)

    def _head(self, key: str) -> Any:
        with self._reaching(key):
            try:
                return self._client.head_object(Bucket=self._bucket, Key=self._full(key))
            except ClientError as exc:
                if _code(exc) in _ABSENT:
                    return None
                raise

    def _put_new(self, key: str, body: Any) -> bool:
        with self._reaching(key):
            try:
                self._client.put_object(Bucket=self._bucket, Key=self._full(key), Body=body, IfNoneMatch="*")
            except ClientError as exc:
                if _code(exc) in _TAKEN:
                    return False
                raise
            return True

    def _full(self, key: str) -> str:
        return f"{self._settings.prefix}/{key}" if self._settings.prefix else key

    @contextmanager
    def _reaching(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as exc:
            where = self.uri(key)
            if _code(exc) in _DENIED:
                raise AccessDenied(
                    f"{where}: S3 answers {_code(exc)}; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket"
                ) from exc
            raise LakeUnavailable(f"{where}: S3 answers {_code(exc)}; retry, then look at the S3 server") from exc
        except (BotoCoreError, OSError) as exc:
            raise LakeUnavailable(f"{self.uri(key)}: S3 does not answer ({exc}); check S3_ENDPOINT_URL") from exc


_NO_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class FolderObjects(Objects):
    """Objects as files below a folder; absence is proved by a hard link."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @override
    def uri(self, key: str) -> str:
        return (self._root / key).as_uri()

    @override
    def put(self, key: str, content: bytes) -> None:
        self._written(key, content).replace(self._root / key)

    @override
    def put_if_absent(self, key: str, content: bytes) -> bool:
        written = self._written(key, content)
        try:
            os.link(written, self._root / key)
        except FileExistsError:
            return False
        finally:
            written.unlink()
        return True

    @override
    def upload_if_absent(self, key: str, source: Path) -> bool:
        return self.put_if_absent(key, source.read_bytes())

    @override
    def get(self, key: str) -> bytes | None:
        try:
            return (self._root / key).read_bytes()
        except _NO_FILE:
            return None

    @override
    def download(self, key: str, target: Path) -> bool:
        try:
            source = (self._root / key).open("rb")
        except _NO_FILE:
            return False
        with source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        return True

    @override
    def size(self, key: str) -> int | None:
        found = self._stat(key)
        return None if found is None else found.st_size

    @override
    def age_s(self, key: str) -> float | None:
        found = self._stat(key)
        return None if found is None else max(0.0, time.time() - found.st_mtime)

    @override
    def list(self, prefix: str) -> builtins.list[str]:
        keys = (path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_file())
        return sorted(key for key in keys if key.startswith(prefix))

    @override
    def folders(self) -> builtins.list[str]:
        return sorted(path.name for path in self._root.iterdir() if path.is_dir()) if self._root.is_dir() else []

    @override
    def delete(self, key: str) -> None:
        (self._root / key).unlink(missing_ok=True)

    @override
    def ensure_bucket(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)

    def _stat(self, key: str) -> os.stat_result | None:
        try:
            return (self._root / key).stat()
        except _NO_FILE:
            return None

    def _written(self, key: str, content: bytes) -> Path:
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        aside.write_bytes(content)
        return aside


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
