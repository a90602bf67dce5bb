"""Artifact files in S3 or in a folder, read and written without MLflow."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from registry.errors import CorruptArtifact, RegistryError, RegistryUnavailable
from registry.settings import RegistrySettings

MODEL_FILE = "model.txt"
SPEC_FILE = "spec.yaml"
_PROXIED = "mlflow-artifacts:/"
_MISSING = frozenset({"NoSuchKey", "NoSuchBucket", "404"})


class Artifacts:
    """Reads and writes under artifact addresses (`s3://…`, `file:///…`). Safe to use from several threads."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._s3: Any = None

    def resolve(self, uri: str) -> str:
        """Where the files of `uri` really are: an address that MLflow proxies lies under MODEL_ARTIFACTS_URI."""
        if uri.startswith(_PROXIED):
            return f"{self._settings.model_artifacts_uri}/{urlsplit(uri).path.lstrip('/')}"
        if not uri.startswith(("s3://", "file://")):
            raise RegistryError(
                f"{uri} is neither in S3 nor in a folder; set MODEL_ARTIFACTS_URI to where artifacts are"
            )
        return uri

    def fetch(self, artifact_uri: str, dest: Path, expected_sha256: str | None = None) -> Path:
        """Copy model.txt and spec.yaml of the folder `artifact_uri` into `dest`, and return it.

        Raises RegistryUnavailable, RegistryError when there is no such model, and CorruptArtifact when model.txt
        is not the one with the digest `expected_sha256`; then nothing is left in `dest`.
        """
        files = {name: self.get(artifact_uri, name) for name in (MODEL_FILE, SPEC_FILE)}
        found = sha256(files[MODEL_FILE])
        if expected_sha256 and found != expected_sha256:
            raise CorruptArtifact(f"{artifact_uri}/{MODEL_FILE}", expected_sha256, found)
        dest.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (dest / name).write_bytes(content)
        return dest

    def get(self, uri: str, path: str) -> bytes:
        """The bytes of one file of the folder `uri`."""
        root = self.resolve(uri)
        if root.startswith("file://"):
            try:
                return (_folder(root) / path).read_bytes()
            except FileNotFoundError as exc:
                raise RegistryError(f"{root}/{path} does not exist") from exc
        bucket, key = _bucket_and_key(root, path)
        with _translated(f"{root}/{path}"):
            return bytes(self._client().get_object(Bucket=bucket, Key=key)["Body"].read())

    def put_all(self, uri: str, files: Mapping[str, bytes]) -> None:
        """Write every file (by path) into the folder `uri`, several at a time."""
        root = self.resolve(uri)
        if root.startswith("file://"):
            for path, content in files.items():
                target = _folder(root) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            return
        client = self._client()

        def put(item: tuple[str, bytes]) -> None:
            bucket, key = _bucket_and_key(root, item[0])
            client.put_object(Bucket=bucket, Key=key, Body=item[1])

        with _translated(root), ThreadPoolExecutor(4, thread_name_prefix="artifact-upload") as pool:
            list(pool.map(put, files.items()))

    def _client(self) -> Any:
        with self._lock:
            if self._s3 is None:
                self._s3 = _s3_client(self._settings)
            return self._s3


class _translated:  # noqa: N801  reads as a word at the `with`
    """Turns botocore's errors inside the block into ours."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            code = error.response["Error"]["Code"]
            if code in _MISSING:
                raise RegistryError(f"{self._where} does not exist") from error
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            if status < 500:
                raise RegistryError(f"{self._where}: the object store refuses: {code}") from error
            raise RegistryUnavailable(self._where, code) from error
        if isinstance(error, BotoCoreError):
            raise RegistryUnavailable(self._where, type(error).__name__) from error


def read_folder(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, by its path from there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in _files(folder)}


def sha256(content: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(content).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _folder(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


def _bucket_and_key(root: str, path: str) -> tuple[str, str]:
    parts = urlsplit(root)
    return parts.netloc, "/".join(part for part in (parts.path.strip("/"), path) if part)


def _s3_client(settings: RegistrySettings) -> Any:
    import boto3
    from botocore.config import Config

    secret = settings.aws_secret_access_key
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        aws_access_key_id=settings.aws_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        region_name=settings.aws_region,
        config=Config(connect_timeout=3, read_timeout=30, retries={"max_attempts": 3, "mode": "standard"}),
    )
